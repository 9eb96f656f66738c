#include "server/plan_api.h"

#include "schedule/plan.h"
#include "server/deploy.h"
#include "server/gangs.h"
#include "server/observations.h"
#include "server/worker_view.h"
#include "store/typed.h"

namespace berth::server {
namespace {

Result<bool> read_launch(const net::Request& request) {
  const auto text = request.query.get("launch");
  if (!text || *text == "false") return false;
  if (*text == "true") return true;
  return fail(
      make_error(ErrorCode::invalid_parameter, "launch must be true or false (got {})", *text)
          .with_field("launch"));
}

// As deploying it would accept it; as editing, where a model of that name is there.
Result<model::Model> accept(ServerContext& context, const model::Deployment& deployment) {
  const auto eyes = eyes_of(context);
  const auto before =
      store::get_as<model::Model>(context.store, model::kModelKind, deployment.name);
  if (before) {
    return accept_edit(before->value, deployment, context.backends, context.clock, eyes,
                       context.allowed_env);
  }
  if (before.error().code != ErrorCode::not_found) return fail(before.error());
  return accept_deployment(deployment, context.backends, context.clock, eyes, context.allowed_env);
}

template <class T>
Result<std::vector<T>> all_of(store::Store& store, std::string_view kind) {
  BERTH_TRY(auto stored, store::list_as<T>(store, kind));
  std::vector<T> values;
  values.reserve(stored.items.size());
  for (auto& item : stored.items) values.push_back(std::move(item.value));
  return values;
}

Result<model::ClusterView> cluster_now(ServerContext& context) {
  BERTH_TRY(const auto workers, all_of<model::Worker>(context.store, model::kWorkerKind));
  BERTH_TRY(const auto instances, all_of<model::Instance>(context.store, model::kInstanceKind));
  return claimed_cluster(workers, instances, context.workers);
}

Result<model::Observation> observed_of(store::Store& store, const model::Model& model) {
  auto seen =
      store::get_as<model::Observation>(store, model::kObservationKind, observation_name(model));
  if (seen) return std::move(seen->value);
  if (seen.error().code == ErrorCode::not_found) return model::Observation{};
  return fail(std::move(seen).error());
}

Result<net::Response> plan_model(ServerContext& context, const ApiRequest& request) {
  BERTH_TRY(const auto deployment, read_body<model::Deployment>(request));
  BERTH_TRY(const bool with_launch, read_launch(request.head));
  BERTH_TRY(const auto model, accept(context, deployment));
  const auto* backend = context.backends.find(model.backend);
  BERTH_TRY(const auto parameters,
            backends::parse_parameters(backend->descriptor(), model.deployment.parameters));
  BERTH_TRY(const auto cluster, cluster_now(context));
  BERTH_TRY(const auto observed, observed_of(context.store, model));
  const schedule::PlacementRequest wish{.deployment = model.deployment,
                                        .profile = model.profile,
                                        .backend = *backend,
                                        .parameters = parameters,
                                        .compute = &model.compute,
                                        .observed = &observed};
  auto plan = schedule::make_plan(wish, cluster);
  plan.backend_reason = model.backend_reason;
  plan.warnings.insert(plan.warnings.begin(), model.warnings.begin(), model.warnings.end());
  if (plan.placed) {
    auto refusal = refuse_gang(*backend, model.deployment, *plan.placement, cluster);
    if (!refusal.empty()) {
      plan.placed = false;
      plan.reasons = std::move(refusal);
    }
  }
  if (with_launch) schedule::add_launch(wish, cluster, plan);
  return net::json_response(200, to_json(plan));
}

}  // namespace

void add_plan_routes(net::Router& router, ServerContext& context) {
  add_route(router, context, RouteAccess::admin, "POST", "/api/v1/plan", plan_model,
            {.summary = "Where a model's next instance would go now, or why nowhere; changes "
                        "nothing",
             .tag = "models",
             .query = {{"launch", "with how its processes would be started", "boolean"}},
             .request = net::body<model::Deployment>(SchemaUse::input),
             .response = net::body<schedule::Plan>()},
            RoutePool::files);
}

}  // namespace berth::server
