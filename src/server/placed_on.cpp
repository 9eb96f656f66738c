#include "server/placed_on.h"

#include "server/worker_health.h"

#include <utility>

namespace berth::server {
namespace {

template <class Condition>
const model::WorkerView* find_worker(const model::ClusterView& cluster,
                                     const model::Instance& instance, Condition condition) {
  for (const auto* worker : workers_of(cluster, instance)) {
    if (worker != nullptr && condition(*worker)) return worker;
  }
  return nullptr;
}

}  // namespace

std::vector<const model::WorkerView*> workers_of(const model::ClusterView& cluster,
                                                 const model::Instance& instance) {
  std::vector<const model::WorkerView*> workers;
  if (!instance.placement) return workers;
  for (const auto& name : instance.placement->workers()) workers.push_back(cluster.find(name));
  return workers;
}

std::optional<std::string> removed_worker(const model::ClusterView& cluster,
                                          const model::Instance& instance) {
  if (!instance.placement) return std::nullopt;
  for (auto& name : instance.placement->workers()) {
    if (cluster.find(name) == nullptr) return std::move(name);
  }
  return std::nullopt;
}

const model::WorkerView* silent_worker(const model::ClusterView& cluster,
                                       const model::Instance& instance) {
  return find_worker(cluster, instance,
                     [](const model::WorkerView& worker) { return is_silent(worker.state); });
}

const model::WorkerView* lost_worker(const model::ClusterView& cluster,
                                     const model::Instance& instance) {
  return find_worker(cluster, instance, [](const model::WorkerView& worker) {
    return worker.state == model::WorkerState::lost;
  });
}

bool leaves(const model::ClusterView& cluster, const model::Instance& instance) {
  const auto* emptied = find_worker(cluster, instance, [](const model::WorkerView& worker) {
    return worker.scheduling == model::Scheduling::draining ||
           worker.scheduling == model::Scheduling::drained;
  });
  return emptied != nullptr;
}

}  // namespace berth::server
