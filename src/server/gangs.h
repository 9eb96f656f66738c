// Gangs: instances that run as several processes, on one worker or several. Their state, from what
// the workers say of each member, and when the next attempt begins. Pure.
#pragma once

#include "backends/backend.h"
#include "base/clock.h"
#include "cluster/protocol.h"
#include "model/cluster_view.h"
#include "model/instance.h"

#include <optional>

namespace berth::server {

// The gang of a new placement; nullopt where one process is all of the instance. Workers' addresses
// come from `cluster`.
[[nodiscard]] std::optional<model::Gang> make_gang(const backends::Backend& backend,
                                                   const model::Deployment& deployment,
                                                   const model::Placement& placement,
                                                   const model::ClusterView& cluster);

// Takes over what a worker says of one member, and what follows for the instance: it is ready once
// all members are; the end of any halts all. False: nothing of it is new.
bool take_member(model::Instance& instance, const cluster::InstanceReport& report, SystemTime now);

// Begins the next attempt of a gang that was halted, once nothing of it runs and its pause is over.
// False: not yet, or there is nothing to begin.
bool begin_again(model::Instance& instance, SystemTime now);

}  // namespace berth::server
