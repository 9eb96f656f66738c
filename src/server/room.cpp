#include "server/room.h"

#include "server/placed_on.h"
#include "server/placing.h"
#include "server/worker_view.h"

#include <algorithm>

namespace berth::server {
namespace {

bool has_place_without(const model::Instance& old, const RoomQuestion& question) {
  model::ClusterView view = question.view;
  for (const auto* instance : question.instances) {
    if (instance == &old || !holds_claims(*instance)) continue;
    view.apply(instance->model, *instance->placement,
               model::InstanceKey{instance->name, instance->generation});
  }
  return find_place(question.model, question.observed, question.backends, view).has_value();
}

}  // namespace

LiveInstance look_at(const model::ClusterView& view, const model::Instance& instance) {
  const auto hinders = [](const model::WorkerView* worker) {
    return worker == nullptr || worker->state != model::WorkerState::ready ||
           worker->scheduling != model::Scheduling::open;
  };
  return {.value = &instance,
          .leaves = leaves(view, instance),
          .hindered = std::ranges::any_of(workers_of(view, instance), hinders)};
}

void mark_room(std::span<LiveInstance> live, const RoomQuestion& question) {
  std::vector<LiveInstance*> old;
  bool waits = false;
  for (auto& one : live) {
    if (one.value->model_generation == question.model.generation) {
      waits = waits ||
              (one.value->state == model::InstanceState::pending && !one.value->reason.empty());
    } else if (holds_claims(*one.value)) {
      old.push_back(&one);
    }
  }
  if (!waits) return;
  std::ranges::sort(old, [](const auto* a, const auto* b) { return is_more_useful(*b, *a); });
  const auto found = std::ranges::find_if(
      old, [&](const auto* one) { return has_place_without(*one->value, question); });
  if (found != old.end()) (*found)->makes_room = true;
}

}  // namespace berth::server
