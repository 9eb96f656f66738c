// Vendor: one maker's devices on this machine, as its library or tool tells of them.
#pragma once

#include "base/result.h"
#include "model/worker.h"

#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace berth::worker::devices {

// What one process has of one device's memory.
struct ProcessUse {
  pid_t pid = 0;  // as the driver knows it: the host's, also where we run in a container
  std::string device;
  Bytes memory;
};

// What one look at a vendor's devices gave. Figures that can not be are left out, with a warning.
struct Sample {
  std::vector<model::Device> devices;
  std::vector<ProcessUse> processes;
  std::vector<std::string> warnings;
};

// Used by one thread at a time.
class Vendor {
 public:
  Vendor() = default;
  Vendor(const Vendor&) = delete;
  Vendor& operator=(const Vendor&) = delete;
  virtual ~Vendor() = default;

  [[nodiscard]] virtual std::string_view name() const = 0;  // "NVIDIA"
  [[nodiscard]] virtual model::DeviceKind kind() const = 0;
  // Blocks, and may hang in the driver. Fails with not_found where the library or tool is not here,
  // which is no trouble on a machine without such devices.
  virtual Result<Sample> look() = 0;
};

}  // namespace berth::worker::devices
