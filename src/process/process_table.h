// The processes of this machine that carry our cluster's tag, and the sweep that ends those which
// nobody owns any more. Blocking (reads /proc, some milliseconds); thread-safe.
#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "process/pidfd.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace berth::process {

// A process with BERTH_CLUSTER in its environment, or a descendant of one. A value.
struct TaggedProcess {
  ProcessIdentity identity;
  pid_t parent = 0;
  std::string instance;  // of the process, or of its nearest tagged ancestor
  std::uint64_t generation = 0;
  std::string name;                     // the kernel's short name, as in ps -o comm
  bool is_shim = false;                 // a berth-shim itself
  std::optional<ProcessIdentity> shim;  // the live shim above it; of a shim: itself
};

// Every live process of the cluster `tag` (zombies are not listed) that we may look at.
std::vector<TaggedProcess> list_tagged(std::string_view tag);

// Decides whether a live shim, and with it everything below it, may go on.
using KeepShim = std::function<bool(const TaggedProcess& shim)>;

struct SweepResult {
  std::vector<TaggedProcess> killed;  // by us, or with the shim that we killed
  std::vector<TaggedProcess>
      left;  // still there after `timeout`: blocked in the kernel, or not ours
};

// Kills (SIGKILL, through pidfds) every process of the cluster that has no shim above it, and every
// shim that `keep` refuses with all below it; looks again until none is left or `timeout` passed.
// Without `keep` every live shim is kept. A shim that another thread is just starting must be known
// to `keep` before it is started.
SweepResult sweep(std::string_view tag, const KeepShim& keep = {},
                  Duration timeout = std::chrono::seconds(5));

}  // namespace berth::process
