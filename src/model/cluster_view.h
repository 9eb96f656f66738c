// ClusterView: the cluster as placement sees it. A value, indexed by worker; `apply` takes a
// placement's memory away, so that the next decision sees what is left.
#pragma once

#include "model/placement.h"
#include "model/worker.h"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace berth::model {

// What an instance of ours has of one device.
struct InstanceUse {
  Bytes claim;
  Bytes used;  // by its processes now, part of the device's `used`; 0 where it has not started
};

// What a new claim may take of `device`: the lesser of what is not claimed and what is not in use,
// once every instance has grown to its claim. Other people's processes count: with `others` bytes
// of them, the claims, `others` and the reserve never exceed the memory. Nothing where the use is
// not known. Pure.
[[nodiscard]] Bytes free_memory(const Device& device, std::span<const InstanceUse> instances);

struct DeviceView {
  Device device;
  std::vector<InstanceUse> instances;  // ours

  [[nodiscard]] Bytes free() const { return free_memory(device, instances); }
  [[nodiscard]] Bytes claimed() const;
};

// One placement of an instance: its name and generation.
using InstanceKey = std::pair<std::string, std::uint64_t>;

struct WorkerView {
  std::string name;
  WorkerState state = WorkerState::ready;
  std::string reason;
  Scheduling scheduling = Scheduling::open;
  std::string host;   // by which other machines reach it; empty: not known
  std::string proxy;  // "host:port" there
  SystemFacts system;
  std::map<std::string, std::string> labels;
  std::vector<DeviceView> devices;  // the CPU is one of them, with id "cpu"
  std::vector<PackStatus> packs;
  std::map<std::string, std::uint32_t> instances;  // of each model, by its name
  std::set<std::string> spanned_by;  // backends of which an instance is here and on other workers
  // What the processes of each instance use of each device now, by the device's id.
  std::map<InstanceKey, std::map<std::string, Bytes>> used_by;

  [[nodiscard]] const DeviceView* find_device(std::string_view id) const;
  // What `instance` uses of a device now; 0 where that is not known.
  [[nodiscard]] Bytes used(const InstanceKey& instance, const std::string& device) const;
};

class ClusterView {
 public:
  void add(WorkerView worker);
  // Adds the claims of a placement and counts the instance of `model`; those on a device that
  // shares the CPU's memory count for the CPU too. `instance` tells what it uses already; nothing
  // where it is absent. Workers and devices that are not there are passed over.
  void apply(const std::string& model, const Placement& placement,
             const std::optional<InstanceKey>& instance = std::nullopt);

  [[nodiscard]] const WorkerView* find(std::string_view worker) const;
  [[nodiscard]] const std::map<std::string, WorkerView, std::less<>>& workers() const {
    return workers_;
  }

 private:
  void take(std::string_view worker, const std::vector<DeviceClaim>& claims,
            const std::optional<InstanceKey>& instance);

  std::map<std::string, WorkerView, std::less<>> workers_;
};

}  // namespace berth::model
