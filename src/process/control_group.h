// Control groups (cgroup v2): a folder of the kernel's for the processes of one engine, with a
// limit of memory, a count of kills for want of it, and an end that nobody in it escapes.
#pragma once

#include "base/bytes.h"
#include "base/clock.h"
#include "base/result.h"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace berth::process {

// What stands in for the kernel's files in tests.
struct ControlGroupSources {
  std::filesystem::path mounts = "/proc/self/mountinfo";
  std::filesystem::path own_group = "/proc/self/cgroup";
};

// The folder in which this process may make groups. A value; thread-safe. Calls block for
// microseconds.
class ControlGroups {
 public:
  // Looks for a writable folder with the controller `memory`: the group of this process, or the one
  // above it where a service manager put us into the subgroup `kOwnGroup`. A group with processes
  // in it can limit nothing below it: they move to `kOwnGroup`, where all are this program, or
  // `ours`. Fails with unsupported, and why, where there is no such folder, or others are in it.
  static Result<ControlGroups> find(const std::set<pid_t>& ours = {},
                                    const ControlGroupSources& sources = {});
  // Groups in `folder`, as it is.
  explicit ControlGroups(std::filesystem::path folder) : folder_(std::move(folder)) {}

  static constexpr std::string_view kOwnGroup = "berth";

  // Makes the group `name`. With `memory`, its processes together get no more than that; if they
  // need more, the kernel ends them all. Swap and the share of processors stay as they are. Fails
  // with io; no group is left then.
  [[nodiscard]] Result<std::filesystem::path> make(std::string_view name,
                                                   std::optional<Bytes> memory) const;
  // The groups whose names begin so.
  [[nodiscard]] std::vector<std::filesystem::path> list(std::string_view prefix) const;
  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }

 private:
  std::filesystem::path folder_;
};

// What the kernel counted in a group.
struct MemoryEvents {
  std::uint64_t kills = 0;         // processes of it that were ended for want of memory
  std::uint64_t limit_misses = 0;  // how often the limit left nothing to give
  std::optional<Bytes> limit;
  friend bool operator==(const MemoryEvents&, const MemoryEvents&) = default;
};
// Nothing where the group is gone, or does not count.
std::optional<MemoryEvents> memory_events(const std::filesystem::path& group);

// Kills everything in the group and removes it; one that is gone is no error. Blocks until all in
// it have ended. Fails with timeout where a process stays, blocked in the kernel, else with io.
Result<void> end_control_group(const std::filesystem::path& group,
                               Duration patience = std::chrono::seconds(5));

}  // namespace berth::process
