#include "server/views.h"

namespace berth::server {

json::object model_view(const model::Model& model, const std::vector<model::Instance>& instances) {
  json::object view{{"name", model.deployment.name}};
  std::uint64_t count = 0;
  std::uint64_t ready = 0;
  std::string reason;
  for (const auto& instance : instances) {
    if (instance.model != model.deployment.name) continue;
    ++count;
    if (instance.state == model::InstanceState::ready)
      ++ready;
    else if (reason.empty())
      reason = instance.reason;
  }
  std::string_view state = "ready";
  if (model.deleting) {
    state = "deleting";
    reason = "its engines are ending";
  } else if (model.deployment.replicas == 0) {
    state = "stopped";
    reason = "scaled to 0";
  } else if (ready == 0) {
    state = "not_ready";
  } else if (ready < model.deployment.replicas) {
    state = "partly_ready";
  } else {
    reason.clear();
  }
  view["state"] = json::string(state);
  view["reason"] = reason;
  view["replicas"] = model.deployment.replicas;
  view["instances"] = count;
  view["ready"] = ready;
  const json::value rest = to_json(model);
  for (const auto& member : rest.get_object()) view[member.key()] = member.value();
  return view;
}

json::object instance_view(const model::Instance& instance, const WorkerRegistry& workers) {
  json::object view = to_json(instance).get_object();
  view["worker"] = instance.placement ? json::value(instance.placement->worker) : nullptr;
  if (!instance.placement) return view;
  const auto report =
      workers.find_instance(instance.placement->worker, instance.name, instance.generation);
  if (!report) return view;
  if (report->progress) view["progress"] = *report->progress;
  if (report->resident) view["resident"] = report->resident->count;
  const bool more_precise = report->state == instance.state && !report->reason.empty();
  if (more_precise) view["reason"] = report->reason;
  return view;
}

}  // namespace berth::server
