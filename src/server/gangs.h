// Gangs: instances that run as several processes, on one worker or several. Their state, from what
// the workers say of each member, and when the next attempt begins. Pure.
#pragma once

#include "backends/backend.h"
#include "base/clock.h"
#include "cluster/protocol.h"
#include "model/cluster_view.h"
#include "model/instance.h"

#include <optional>
#include <string>
#include <string_view>

namespace berth::server {

// "rpc on box-2: what".
[[nodiscard]] std::string describe_member(const model::GangMember& member, std::string_view what);

// Why a worker that one of its processes needs can not take it; empty: all can.
[[nodiscard]] std::string refuse_gang(const backends::Backend& backend,
                                      const model::Deployment& deployment,
                                      const model::Placement& placement,
                                      const model::ClusterView& cluster);

// Makes an instance that was just placed a gang, where its backend runs several processes; a worker
// of theirs without claims becomes part of the placement too. Addresses come from `cluster`.
void form_gang(model::Instance& instance, const backends::Backend& backend,
               const model::Deployment& deployment, const model::ClusterView& cluster);

// Takes over what a worker says of one member, and what follows for the instance: it is ready once
// all members are; the end of any halts all. False: nothing of it is new.
bool take_member(model::Instance& instance, const cluster::InstanceReport& report, SystemTime now);

// Notes which members are on silent workers: until all of those have reported again, nobody knows
// whether the instance serves. False: none more; an instance that is one process has none.
bool lose_members(model::Instance& instance, const model::ClusterView& cluster);

// How long a gang that was halted still has to pause, once nothing of it runs: 0, it may begin
// again. Nothing for all others.
[[nodiscard]] std::optional<Duration> pause_left(const model::Instance& instance, SystemTime now);

// Begins the next attempt of a gang that was halted, once nothing of it runs and its pause is over.
// False: not yet, or there is nothing to begin.
bool begin_again(model::Instance& instance, SystemTime now);

}  // namespace berth::server
