#include "server/endings.h"

#include "server/placed_on.h"

#include <algorithm>

namespace berth::server {

bool is_gone(const ClusterState& state, const model::Instance& instance, store::Revision revision,
             const model::WorkerView* worker, bool only_main) {
  if (worker == nullptr || worker->state == model::WorkerState::lost) return true;
  const auto found = state.progress.find(worker->name);
  if (found == state.progress.end() || found->second.revision < revision) return false;
  return std::ranges::none_of(found->second.members, [&](const auto& member) {
    return member.first == instance.name && (member.second == 0 || !only_main);
  });
}

bool is_gone(const ClusterState& state, const model::Instance& instance, store::Revision revision) {
  return std::ranges::all_of(workers_of(state.view, instance), [&](const auto* worker) {
    return is_gone(state, instance, revision, worker);
  });
}

std::vector<std::string> emptied_workers(const model::ClusterView& view,
                                         const std::vector<const model::Instance*>& instances) {
  std::vector<std::string> emptied;
  for (const auto& [name, worker] : view.workers()) {
    if (worker.scheduling != model::Scheduling::draining) continue;
    const bool in_use = std::ranges::any_of(instances, [&](const auto* one) {
      return std::ranges::count(workers_of(view, *one), &worker) > 0;
    });
    if (!in_use) emptied.push_back(name);
  }
  return emptied;
}

bool is_any_unheard(const ClusterState& state) {
  return std::ranges::any_of(state.view.workers(), [&](const auto& entry) {
    return entry.second.state != model::WorkerState::lost && !state.progress.contains(entry.first);
  });
}

}  // namespace berth::server
