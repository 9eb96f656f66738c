#include "server/worker_view.h"

#include "net/url.h"

namespace berth::server {
namespace {

std::string host_of(const std::string& address) {
  const auto endpoint = net::parse_endpoint(address, std::uint16_t{0});
  return endpoint ? endpoint->host : std::string();
}

}  // namespace

model::WorkerView worker_view(const model::Worker& worker, const WorkerRegistry& registry) {
  model::WorkerView view{.name = worker.name,
                         .state = worker.state,
                         .reason = worker.reason,
                         .scheduling = worker.scheduling,
                         .host = host_of(worker.address),
                         .proxy = worker.address,
                         .system = worker.system,
                         .labels = worker.labels,
                         .devices = {},
                         .packs = worker.packs,
                         .instances = {},
                         .used_by = {}};
  const auto latest = registry.find(worker.name);
  const auto& devices = latest && !latest->devices.empty() ? latest->devices : worker.devices;
  if (const auto packs = registry.packs(worker.name); packs && !packs->empty()) view.packs = *packs;
  if (latest) {
    for (const auto& instance : latest->instances) {
      auto& uses = view.used_by[{instance.instance, instance.generation}];
      for (const auto& [device, used] : instance.device_memory) uses[device] += used;
    }
  }
  view.devices.reserve(devices.size());
  for (const auto& device : devices) view.devices.push_back({.device = device, .instances = {}});
  return view;
}

model::ClusterView claimed_cluster(const std::vector<model::Worker>& workers,
                                   const std::vector<model::Instance>& instances,
                                   const WorkerRegistry& registry) {
  model::ClusterView cluster;
  for (const auto& worker : workers) cluster.add(worker_view(worker, registry));
  for (const auto& instance : instances) {
    if (!holds_claims(instance)) continue;
    cluster.apply(instance.model, *instance.placement,
                  model::InstanceKey{instance.name, instance.generation});
  }
  return cluster;
}

bool holds_claims(const model::Instance& instance) {
  return instance.placement && instance.state != model::InstanceState::failed;
}

}  // namespace berth::server
