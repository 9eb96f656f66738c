#include "worker/engine_group.h"

#include "process/process_table.h"

#include <algorithm>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace berth::worker {
namespace {

constexpr std::string_view kCpu = "cpu";
constexpr Bytes kLeastHeadRoom = 2_GiB;
constexpr Bytes kDeviceHeadRoom =
    1_GiB;  // what a driver keeps for a device in the engine's process

}  // namespace

const std::vector<model::DeviceClaim>& claims_of(const model::Assignment& assignment) {
  const auto& placement = assignment.placement;
  const std::size_t member = assignment.member;
  if (member == 0 || member > placement.subordinates.size()) return placement.claim.devices;
  return placement.subordinates[member - 1].devices;
}

std::optional<Bytes> memory_limit(const model::Assignment& assignment) {
  if (assignment.deployment.memory_limit == model::MemoryLimit::off) return std::nullopt;
  Bytes claim;
  Bytes drivers;
  for (const auto& device : claims_of(assignment)) {
    if (device.device == kCpu) {
      claim += device.total();
    } else {
      drivers += kDeviceHeadRoom;
    }
  }
  if (claim.count == 0) return std::nullopt;
  return claim + std::max(Bytes{claim.count / 2}, kLeastHeadRoom) + drivers;
}

std::string group_prefix(std::string_view cluster_tag) {
  return fmt::format("berth-{}-", cluster_tag);
}

std::string group_prefix(std::string_view cluster_tag, const model::Assignment& assignment) {
  return fmt::format("{}{}.{}.{}.", group_prefix(cluster_tag), assignment.instance,
                     assignment.generation, assignment.member);
}

std::string group_name(std::string_view cluster_tag, const model::Assignment& assignment,
                       std::uint32_t attempt) {
  return fmt::format("{}{}", group_prefix(cluster_tag, assignment), attempt);
}

std::filesystem::path make_group(const Groups& groups, std::string_view cluster_tag,
                                 const model::Assignment& assignment, std::uint32_t attempt) {
  if (!groups) return {};
  auto group = groups->make(group_name(cluster_tag, assignment, attempt), memory_limit(assignment));
  if (group) return *std::move(group);
  spdlog::warn("{}: its engine runs without a limit of memory: {}", assignment.instance,
               group.error().to_string());
  return {};
}

void end_group(const std::filesystem::path& group) {
  if (group.empty()) return;
  if (auto ended = process::end_control_group(group); !ended) {
    spdlog::error("a control group stays: {}", ended.error().to_string());
  }
}

void end_groups(const Groups& groups, std::string_view prefix,
                const std::set<std::filesystem::path>& kept) {
  if (!groups) return;
  for (const auto& group : groups->list(prefix)) {
    if (!kept.contains(group)) end_group(group);
  }
}

Groups find_groups(std::string_view cluster_tag) {
  std::set<pid_t> ours;
  for (const auto& process : process::list_tagged(cluster_tag)) ours.insert(process.identity.pid);
  auto groups = process::ControlGroups::find(ours);
  if (groups) {
    spdlog::info("engines get control groups in {}", groups->folder().string());
    return *std::move(groups);
  }
  spdlog::info("engines run without a limit of memory of their own: {}",
               groups.error().to_string());
  return std::nullopt;
}

}  // namespace berth::worker
