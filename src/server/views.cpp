#include "server/views.h"

#include "server/gangs.h"
#include "server/rollout.h"

#include <algorithm>

namespace berth::server {
namespace {

// What its workers said last of each of its processes.
std::vector<cluster::InstanceReport> reports_of(const model::Instance& instance,
                                                const WorkerRegistry& workers) {
  std::vector<cluster::InstanceReport> reports;
  const auto add = [&](const std::string& worker, std::uint32_t member) {
    auto found = workers.find_instance(worker, instance.name, instance.generation, member);
    if (found) reports.push_back(*std::move(found));
  };
  if (instance.gang) {
    for (const auto& member : instance.gang->members) add(member.worker, member.member);
  } else if (instance.placement) {
    add(instance.placement->worker, 0);
  }
  return reports;
}

}  // namespace

json::object model_view(const model::Model& model, store::Revision revision,
                        const std::vector<model::Instance>& instances) {
  ModelSummary summary{
      .name = model.deployment.name, .revision = revision, .replicas = model.deployment.replicas};
  std::string reason;
  for (const auto& instance : instances) {
    if (instance.model != model.deployment.name) continue;
    ++summary.instances;
    if (instance.state == model::InstanceState::ready)
      ++summary.ready;
    else if (reason.empty())
      reason = instance.reason;
  }
  if (model.deleting) {
    summary.state = ModelState::deleting;
    reason = "its engines are ending";
  } else if (summary.replicas == 0) {
    summary.state = ModelState::stopped;
    reason = "scaled to 0";
  } else if (summary.ready == 0) {
    summary.state = ModelState::not_ready;
  } else if (summary.ready < summary.replicas) {
    summary.state = ModelState::partly_ready;
  } else {
    reason.clear();
  }
  if (!model.rollout.fewer_since.empty() && !reason.empty()) reason = model.rollout.reason;
  summary.reason = std::move(reason);
  json::object view = to_json(summary).get_object();
  const json::value rest = to_json(model);
  for (const auto& member : rest.get_object()) view[member.key()] = member.value();
  view.erase("revisions");  // see rollout_view
  return view;
}

json::object rollout_view(const model::Model& model,
                          const std::vector<model::Instance>& instances) {
  const auto& rollout = model.rollout;
  RolloutView view{.name = model.deployment.name,
                   .revision = model.generation,
                   .state = rollout.state,
                   .reason = rollout.reason,
                   .since = rollout.since,
                   .replicas = model.deployment.replicas};
  if (const auto from = parse_rfc3339(rollout.progress_at)) {
    view.deadline = to_rfc3339(*from + progress_deadline(model.deployment));
  }
  for (const auto& instance : instances) {
    if (instance.model != model.deployment.name) continue;
    if (instance.model_generation != model.generation) {
      ++view.old;
      continue;
    }
    if (instance.state == model::InstanceState::stopping) continue;
    ++view.updated;
    if (instance.state == model::InstanceState::ready) ++view.ready;
  }
  if (model.revisions) view.revisions = model.revisions->items;
  return to_json(view).get_object();
}

json::object rollout_view_schema(Schemas& schemas) {
  return schemas.reference<RolloutView>(SchemaUse::output);
}

json::object model_view_schema(Schemas& schemas) {
  return both(schemas.reference<ModelSummary>(SchemaUse::output),
              schemas.reference<model::Model>(SchemaUse::output));
}

json::object instance_view(const model::Instance& instance, const WorkerRegistry& workers) {
  json::object view = to_json(instance).get_object();
  view["worker"] = instance.placement ? json::value(instance.placement->worker) : nullptr;
  std::optional<double> progress;
  std::optional<Bytes> resident;
  for (const auto& report : reports_of(instance, workers)) {
    if (report.progress) progress = std::min(*report.progress, progress.value_or(1));
    if (report.resident) resident = resident.value_or(Bytes{}) + *report.resident;
  }
  if (progress) view["progress"] = *progress;
  if (resident) view["resident"] = resident->count;
  if (const auto reason = latest_reason(instance, workers)) view["reason"] = *reason;
  return view;
}

std::optional<std::string> latest_reason(const model::Instance& instance,
                                         const WorkerRegistry& workers) {
  for (const auto& report : reports_of(instance, workers)) {
    if (report.state != instance.state || report.reason.empty()) continue;
    if (!instance.gang) return report.reason;
    return describe_member(instance.gang->members.at(report.member), report.reason);
  }
  return std::nullopt;
}

json::object instance_view_schema(Schemas& schemas) {
  const json::object worker{{"type", json::array{"string", "null"}},
                            {"description", "where it is placed; null where it is not yet"}};
  const json::object resident{{"type", "integer"},
                              {"minimum", 0},
                              {"description", "memory that its processes use now"},
                              {"x-unit", "bytes"}};
  return both(schemas.reference<model::Instance>(SchemaUse::output),
              {{"type", "object"},
               {"required", json::array{"worker"}},
               {"properties", json::object{{"worker", worker}, {"resident", resident}}}});
}

net::SchemaSource list_of(net::SchemaSource item) {
  return [item = std::move(item)](Schemas& schemas) {
    const json::object revision{{"type", "integer"},
                                {"description", "of the store: a watch from here loses nothing"}};
    const json::object items{{"type", "array"}, {"items", item(schemas)}};
    return json::object{{"type", "object"},
                        {"required", json::array{"items"}},
                        {"properties", json::object{{"items", items}, {"revision", revision}}}};
  };
}

json::object both(json::object one, json::object other) {
  return {{"allOf", json::array{std::move(one), std::move(other)}}};
}

}  // namespace berth::server
