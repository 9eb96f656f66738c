// HeldMemory: what an engine had of devices, and whether the driver has given it back. Drivers do
// so some time after the last process has ended; whoever is placed there before finds too little.
#pragma once

#include "model/placement.h"
#include "worker/devices/vendor.h"

#include <map>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace berth::worker {

// A value, fed with looks at the devices; pure.
class HeldMemory {
 public:
  // Nothing is held.
  HeldMemory() = default;
  // An engine with these claims is about to start. `before` is a look at the devices without it,
  // empty where there is none.
  HeldMemory(const std::vector<model::DeviceClaim>& claims, const devices::Sample& before);

  // A look at the devices while it runs as these processes.
  void see(const std::vector<pid_t>& processes, const devices::Sample& running);

  // Whether `now`, a look that began after the engine's end, shows that its memory is free: no
  // process of it has any, and most of what it had is not in use. A device whose figures were never
  // known counts as free; one whose figures are lost meanwhile does not.
  [[nodiscard]] bool is_free(const devices::Sample& now) const;
  // Whether there is anything to wait for.
  [[nodiscard]] bool is_empty() const { return held_.empty(); }

 private:
  struct Running {
    Bytes used;                     // of the device, in all
    Bytes others;                   // of it, by processes that the driver names
    std::optional<Bytes> reported;  // of it the engine's, where the driver names its processes
  };
  struct Held {
    Bytes claim;
    std::optional<Bytes> used_before;
    std::optional<Running> running;  // as last seen
  };
  [[nodiscard]] bool is_free(const std::string& device, const Held& held,
                             const devices::Sample& now) const;

  std::map<std::string, Held> held_;  // by device
  std::vector<pid_t> processes_;      // of the engine, as last seen
};

}  // namespace berth::worker
