// EngineGroup: the control group of one attempt of an engine: its name, its limit, its end.
#pragma once

#include "cluster/protocol.h"
#include "process/control_group.h"

#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace berth::worker {

using Groups = std::optional<process::ControlGroups>;  // nothing where this worker has none

// What this member of the instance claims. Pure.
const std::vector<model::DeviceClaim>& claims_of(const model::Assignment& assignment);

// What the kernel lets the engine have of the worker's memory: far more than it claims, since
// claims are estimates, and an engine that fits them must never be ended. What it reads of mapped
// files counts too, but the kernel takes that back before it ends anybody. Nothing where the
// deployment wants no limit, or the engine claims no memory of the worker. Pure.
std::optional<Bytes> memory_limit(const model::Assignment& assignment);

// The names of the groups of a cluster, of one of its instance's members, of one attempt. Pure.
std::string group_prefix(std::string_view cluster_tag);
std::string group_prefix(std::string_view cluster_tag, const model::Assignment& assignment);
std::string group_name(std::string_view cluster_tag, const model::Assignment& assignment,
                       std::uint32_t attempt);

// Makes the group of an attempt; empty where it can not be made, with a warning in the log: the
// engine then runs without. Blocks.
std::filesystem::path make_group(const Groups& groups, std::string_view cluster_tag,
                                 const model::Assignment& assignment, std::uint32_t attempt);
// Ends what is in it. An empty path is no group. Blocks, until all of it has ended or 5 s passed.
void end_group(const std::filesystem::path& group);
// The same of all whose names begin so, but for those in `kept`.
void end_groups(const Groups& groups, std::string_view prefix,
                const std::set<std::filesystem::path>& kept = {});

// The place for groups on this worker, where it has one; says once why not.
Groups find_groups(std::string_view cluster_tag);

}  // namespace berth::worker
