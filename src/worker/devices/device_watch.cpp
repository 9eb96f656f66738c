#include "worker/devices/device_watch.h"

#include <algorithm>
#include <set>
#include <utility>

namespace berth::worker {
namespace {

constexpr std::chrono::seconds kFirstLook{2};
// Kept free on a device: what drivers and displays take now and then.
constexpr Bytes kDeviceReserve = 256_MiB;
constexpr std::uint64_t kReserveShare = 50;  // a fiftieth of the memory, where that is less

}  // namespace

std::vector<model::Device> reported_devices(const model::Device& cpu,
                                            const std::vector<DetectedGpu>& gpus,
                                            const devices::Sample& sample) {
  std::vector<model::Device> all{cpu};
  std::set<model::DeviceKind> told;
  std::set<std::string> ids{cpu.id};
  for (auto device : sample.devices) {
    if (!ids.insert(device.id).second) continue;  // a tool told of it twice
    told.insert(device.kind);
    if (device.unified && device.memory.count == 0) {
      device.memory = cpu.memory;
      device.used = cpu.used;
      device.reserved = cpu.reserved;
      device.measured = cpu.measured;
    } else {
      device.reserved = std::min(kDeviceReserve, Bytes{device.memory.count / kReserveShare});
    }
    all.push_back(std::move(device));
  }
  for (auto& device : to_devices(gpus)) {
    if (!told.contains(device.kind)) all.push_back(std::move(device));
  }
  return all;
}

std::map<std::string, Bytes> device_use(const std::vector<pid_t>& processes,
                                        const devices::Sample& sample) {
  std::map<std::string, Bytes> uses;
  for (const auto& use : sample.processes) {
    if (std::ranges::find(processes, use.pid) != processes.end()) uses[use.device] += use.memory;
  }
  return uses;
}

DeviceWatch::DeviceWatch(model::SystemFacts facts, std::vector<DetectedGpu> gpus,
                         std::vector<std::unique_ptr<devices::Vendor>> vendors)
    : facts_(std::move(facts)), gpus_(std::move(gpus)), sampler_(std::move(vendors)) {
  sampler_.wait_for_first(kFirstLook);
  keep(sampler_.latest());
}

void DeviceWatch::keep(devices::Snapshot snapshot) {
  auto devices = reported_devices(read_cpu_device(facts_), gpus_, snapshot.sample);
  auto warnings = std::move(snapshot.sample.warnings);
  for (const auto& [kind, why] : snapshot.missing) {
    if (std::ranges::find(gpus_, kind, &DetectedGpu::kind) == gpus_.end()) continue;
    warnings.push_back(
        why + "; without it the memory of these devices is not known, and nothing is placed there");
  }
  const std::lock_guard lock(mutex_);
  devices_ = std::move(devices);
  warnings_ = std::move(warnings);
}

std::vector<model::Device> DeviceWatch::devices() const {
  const std::lock_guard lock(mutex_);
  return devices_;
}

std::vector<std::string> DeviceWatch::warnings(const std::vector<model::PackStatus>& packs) const {
  auto all = gpu_warnings(gpus_, packs);
  const std::lock_guard lock(mutex_);
  all.insert(all.end(), warnings_.begin(), warnings_.end());
  return all;
}

std::map<std::string, EngineUse> DeviceWatch::measure(const std::map<std::string, pid_t>& engines) {
  auto snapshot = sampler_.latest();
  const auto seen = std::make_shared<const devices::Sample>(snapshot.sample);
  std::map<std::string, EngineUse> uses;
  for (const auto& [name, pid] : engines) {
    const auto usage = process::memory_usage_of_tree(pid);
    if (!usage) continue;
    EngineUse use{
        .resident = usage->resident(), .device_memory = {}, .processes = {}, .seen = seen};
    if (!seen->devices.empty()) use.processes = process::pids_of_tree(pid);
    use.device_memory = device_use(use.processes, *seen);
    use.device_memory["cpu"] = usage->anonymous + usage->shared;
    uses.emplace(name, std::move(use));
  }
  keep(std::move(snapshot));
  return uses;
}

devices::Snapshot DeviceWatch::look_again() {
  auto snapshot = sampler_.latest();
  sampler_.look_soon();
  keep(snapshot);
  return snapshot;
}

}  // namespace berth::worker
