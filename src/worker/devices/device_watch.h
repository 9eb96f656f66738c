// DeviceWatch: the devices of this machine as its worker reports them, and what engines use of
// them.
#pragma once

#include "process/memory_usage.h"
#include "worker/devices/sampler.h"
#include "worker/system_facts.h"

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace berth::worker {

// What an engine and all that it started use now.
struct EngineUse {
  Bytes resident;
  std::map<std::string, Bytes> device_memory;  // "cpu" without mapped files
  std::vector<pid_t> processes;
  std::shared_ptr<const devices::Sample> seen;  // the look at the devices that goes with it
};

// The CPU, then each vendor's devices; those that only the PCI bus tells of are there too, without
// memory. Devices that share the CPU's memory have its figures. Pure.
std::vector<model::Device> reported_devices(const model::Device& cpu,
                                            const std::vector<DetectedGpu>& gpus,
                                            const devices::Sample& sample);

// What the processes of one engine have of each device. Pure.
std::map<std::string, Bytes> device_use(const std::vector<pid_t>& processes,
                                        const devices::Sample& sample);

// Thread-safe.
class DeviceWatch {
 public:
  // Waits for the first look at the devices, at most two seconds.
  DeviceWatch(model::SystemFacts facts, std::vector<DetectedGpu> gpus,
              std::vector<std::unique_ptr<devices::Vendor>> vendors);

  // As last measured; devices and engines of one measurement belong together.
  [[nodiscard]] std::vector<model::Device> devices() const;
  // Of devices that no pack can use, and of those whose figures are missing or can not be.
  [[nodiscard]] std::vector<std::string> warnings(
      const std::vector<model::PackStatus>& packs) const;

  // Measures the engines, by any name, with their main processes. Blocking (reads /proc).
  std::map<std::string, EngineUse> measure(const std::map<std::string, pid_t>& engines);
  // The latest look, which `devices` tells from now on; asks for another one soon.
  devices::Snapshot look_again();

 private:
  void keep(devices::Snapshot snapshot);

  const model::SystemFacts facts_;
  const std::vector<DetectedGpu> gpus_;
  devices::Sampler sampler_;
  mutable std::mutex mutex_;
  std::vector<model::Device> devices_;
  std::vector<std::string> warnings_;
};

}  // namespace berth::worker
