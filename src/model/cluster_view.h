// ClusterView: the cluster as placement sees it. A value, indexed by worker; `apply` takes a
// placement's memory away, so that the next decision sees what is left.
#pragma once

#include "model/placement.h"
#include "model/worker.h"

#include <map>
#include <string>
#include <vector>

namespace berth::model {

struct DeviceView {
  Device device;
  Bytes claimed;  // by instances of ours
  Bytes ours;     // what processes of our instances really use now, part of `device.used`

  // What a new claim may take: the lesser of what is not claimed and what is not in use, once every
  // claim of ours has grown to its full size. Other people's processes count.
  [[nodiscard]] Bytes free() const {
    const Bytes unclaimed = device.memory - device.reserved - claimed;
    const Bytes unused = device.memory - device.used - device.reserved - (claimed - ours);
    return unclaimed < unused ? unclaimed : unused;
  }
};

struct WorkerView {
  std::string name;
  WorkerState state = WorkerState::ready;
  std::string reason;
  SystemFacts system;
  std::map<std::string, std::string> labels;
  std::vector<DeviceView> devices;  // the CPU is one of them, with id "cpu"
  std::vector<PackStatus> packs;
  std::map<std::string, std::uint32_t> instances;  // of each model, by its name

  [[nodiscard]] const DeviceView* find_device(std::string_view id) const;
};

class ClusterView {
 public:
  void add(WorkerView worker);
  // Adds the claims of a placement and counts the instance of `model`.
  // Workers and devices that are not there are passed over.
  void apply(const std::string& model, const Placement& placement);

  [[nodiscard]] const WorkerView* find(std::string_view worker) const;
  [[nodiscard]] const std::map<std::string, WorkerView, std::less<>>& workers() const {
    return workers_;
  }

 private:
  void take(std::string_view worker, const std::vector<DeviceClaim>& claims);

  std::map<std::string, WorkerView, std::less<>> workers_;
};

}  // namespace berth::model
