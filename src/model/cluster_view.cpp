#include "model/cluster_view.h"

namespace berth::model {

const DeviceView* WorkerView::find_device(std::string_view id) const {
  for (const auto& view : devices) {
    if (view.device.id == id) return &view;
  }
  return nullptr;
}

void ClusterView::add(WorkerView worker) {
  auto name = worker.name;
  workers_.insert_or_assign(std::move(name), std::move(worker));
}

void ClusterView::take(std::string_view worker, const std::vector<DeviceClaim>& claims) {
  const auto found = workers_.find(worker);
  if (found == workers_.end()) return;
  for (const auto& claim : claims) {
    for (auto& view : found->second.devices) {
      if (view.device.id == claim.device) view.claimed += claim.total();
    }
  }
}

void ClusterView::apply(const std::string& model, const Placement& placement) {
  take(placement.worker, placement.claim.devices);
  for (const auto& subordinate : placement.subordinates) {
    take(subordinate.worker, subordinate.devices);
  }
  if (const auto found = workers_.find(placement.worker); found != workers_.end()) {
    ++found->second.instances[model];
  }
}

const WorkerView* ClusterView::find(std::string_view worker) const {
  const auto found = workers_.find(worker);
  return found == workers_.end() ? nullptr : &found->second;
}

}  // namespace berth::model
