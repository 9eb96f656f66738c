#include "model/cluster_view.h"

#include <algorithm>

namespace berth::model {

Bytes free_memory(const Device& device, std::span<const InstanceUse> instances) {
  if (!device.measured) return {};
  Bytes unclaimed = device.memory - device.reserved;
  Bytes unused = device.memory - device.used - device.reserved;
  for (const auto& instance : instances) {
    unclaimed -= instance.claim;
    unused -= instance.claim - instance.used;
  }
  return std::min(unclaimed, unused);
}

Bytes DeviceView::claimed() const {
  Bytes sum;
  for (const auto& instance : instances) sum += instance.claim;
  return sum;
}

const DeviceView* WorkerView::find_device(std::string_view id) const {
  for (const auto& view : devices) {
    if (view.device.id == id) return &view;
  }
  return nullptr;
}

Bytes WorkerView::used(const InstanceKey& instance, const std::string& device) const {
  const auto uses = used_by.find(instance);
  if (uses == used_by.end()) return {};
  const auto found = uses->second.find(device);
  return found == uses->second.end() ? Bytes{} : found->second;
}

void ClusterView::add(WorkerView worker) {
  auto name = worker.name;
  workers_.insert_or_assign(std::move(name), std::move(worker));
}

void ClusterView::take(std::string_view worker, const std::vector<DeviceClaim>& claims,
                       const std::optional<InstanceKey>& instance) {
  const auto found = workers_.find(worker);
  if (found == workers_.end()) return;
  for (const auto& claim : claims) {
    const auto* device = found->second.find_device(claim.device);
    const bool shared = device != nullptr && device->device.unified;
    const Bytes used = instance ? found->second.used(*instance, claim.device) : Bytes{};
    for (auto& view : found->second.devices) {
      const bool host = shared && view.device.kind == DeviceKind::cpu;
      if (view.device.id != claim.device && !host) continue;
      view.instances.push_back({.claim = claim.total(), .used = used});
    }
  }
}

void ClusterView::apply(const std::string& model, const Placement& placement,
                        const std::optional<InstanceKey>& instance) {
  take(placement.worker, placement.claim.devices, instance);
  for (const auto& subordinate : placement.subordinates) {
    take(subordinate.worker, subordinate.devices, instance);
  }
  const auto main = workers_.find(placement.worker);
  if (main == workers_.end()) return;
  ++main->second.instances[model];
  if (placement.subordinates.empty()) return;
  const auto pack = std::ranges::find_if(main->second.packs, [&](const PackStatus& status) {
    return status.pack.name == placement.pack;
  });
  if (pack == main->second.packs.end()) return;
  const std::string backend = pack->pack.backend;
  for (const auto& name : placement.workers()) {
    if (const auto found = workers_.find(name); found != workers_.end()) {
      found->second.spanned_by.insert(backend);
    }
  }
}

const WorkerView* ClusterView::find(std::string_view worker) const {
  const auto found = workers_.find(worker);
  return found == workers_.end() ? nullptr : &found->second;
}

}  // namespace berth::model
