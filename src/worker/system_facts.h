// What this machine is: operating system, processor, memory, devices. Blocking for milliseconds.
#pragma once

#include "model/worker.h"

#include <map>
#include <string>
#include <vector>

namespace berth::worker {

model::SystemFacts read_system_facts();

// The variables of this process.
std::map<std::string, std::string> current_environment();

// The CPU with the machine's memory and what is used of it now.
model::Device read_cpu_device(const model::SystemFacts& facts);

// A GPU or NPU that the machine has, by its PCI vendor; its memory is not known without the
// vendor's library.
struct DetectedGpu {
  model::DeviceKind kind = model::DeviceKind::cuda;
  std::string vendor;   // "NVIDIA"
  std::string address;  // "0000:01:00.0"
};

// Display controllers and accelerators of known vendors, from `pci_folder`
// (/sys/bus/pci/devices).
std::vector<DetectedGpu> detect_gpus(const std::string& pci_folder = "/sys/bus/pci/devices");

// The same as devices, numbered within each kind, for those that no vendor's tool tells of. Without
// memory, since that is not known: nothing is placed on them, but placement sees that they are
// there and left unused.
std::vector<model::Device> to_devices(const std::vector<DetectedGpu>& gpus);

// A sentence for each kind of GPU that none of the `packs` can use, with what mends it.
std::vector<std::string> gpu_warnings(const std::vector<DetectedGpu>& gpus,
                                      const std::vector<model::PackStatus>& packs);

}  // namespace berth::worker
