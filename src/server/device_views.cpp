#include "server/device_views.h"

#include "server/views.h"
#include "server/worker_view.h"

namespace berth::server {
namespace {

const std::vector<model::DeviceClaim>* claims_on(const model::Placement& placement,
                                                 const std::string& worker) {
  if (placement.worker == worker) return &placement.claim.devices;
  for (const auto& subordinate : placement.subordinates) {
    if (subordinate.worker == worker) return &subordinate.devices;
  }
  return nullptr;
}

// The device's claims by instance; `view` has them without names.
std::vector<ClaimOnDevice> claims_of(const model::WorkerView& worker, const std::string& device,
                                     const std::vector<model::Instance>& instances) {
  std::vector<ClaimOnDevice> found;
  for (const auto& instance : instances) {
    if (!holds_claims(instance)) continue;
    const auto* claims = claims_on(*instance.placement, worker.name);
    if (claims == nullptr) continue;
    for (const auto& claim : *claims) {
      if (claim.device != device) continue;
      found.push_back({.instance = instance.name,
                       .model = instance.model,
                       .claim = claim.total(),
                       .used = worker.used({instance.name, instance.generation}, device)});
    }
  }
  return found;
}

}  // namespace

std::vector<DeviceStatus> device_statuses(const std::vector<model::Worker>& workers,
                                          const std::vector<model::Instance>& instances,
                                          const WorkerRegistry& registry) {
  const auto cluster = claimed_cluster(workers, instances, registry);
  std::vector<DeviceStatus> all;
  for (const auto& [name, worker] : cluster.workers()) {
    for (const auto& view : worker.devices) {
      DeviceStatus status{.device = view.device, .figures = {.worker = name}};
      auto& figures = status.figures;
      figures.claimed = view.claimed();
      figures.others = view.device.used;
      for (const auto& instance : view.instances) figures.others -= instance.used;
      figures.free = view.free();
      figures.claims = claims_of(worker, view.device.id, instances);
      all.push_back(std::move(status));
    }
  }
  return all;
}

json::object device_view(const DeviceStatus& status) {
  json::object view = to_json(status.figures).get_object();
  const json::value device = to_json(status.device);
  for (const auto& member : device.get_object()) view[member.key()] = member.value();
  return view;
}

json::object device_view_schema(Schemas& schemas) {
  return both(schemas.reference<DeviceFigures>(SchemaUse::output),
              schemas.reference<model::Device>(SchemaUse::output));
}

}  // namespace berth::server
