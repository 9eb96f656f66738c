#include "server/models_api.h"

#include "server/deploy.h"
#include "server/views.h"
#include "store/typed.h"

namespace berth::server {
namespace {

using model::Instance;
using model::Model;

Error no_model(std::string_view name) {
  return make_error(ErrorCode::not_found, "there is no model named \"{}\"; see berth models", name);
}

// Not found, said of a model rather than of a document.
Error as_model_error(Error error, std::string_view name) {
  return error.code == ErrorCode::not_found ? no_model(name) : std::move(error);
}

Result<std::vector<Instance>> all_instances(ServerContext& context) {
  BERTH_TRY(auto stored, store::list_as<Instance>(context.store, model::kInstanceKind));
  std::vector<Instance> instances;
  instances.reserve(stored.items.size());
  for (auto& item : stored.items) instances.push_back(std::move(item.value));
  return instances;
}

Result<net::Response> answer_with(ServerContext& context, int status, const Model& model) {
  BERTH_TRY(const auto instances, all_instances(context));
  return net::json_response(status, model_view(model, instances));
}

Result<net::Response> list_models(ServerContext& context, const ApiRequest&) {
  BERTH_TRY(const auto models, store::list_as<Model>(context.store, model::kModelKind));
  BERTH_TRY(const auto instances, all_instances(context));
  json::array items;
  for (const auto& model : models.items) items.push_back(model_view(model.value, instances));
  return net::json_response(200, {{"items", items}, {"revision", models.revision}});
}

Result<net::Response> create_model(ServerContext& context, const ApiRequest& request) {
  BERTH_TRY(const auto deployment, read_body<model::Deployment>(request));
  BERTH_TRY(const Model model, accept_deployment(deployment, context.backends, context.clock));
  auto stored = store::put_new(context.store, model::kModelKind, deployment.name, model);
  if (!stored) {
    Error error = std::move(stored).error();
    if (error.code == ErrorCode::already_exists) {
      error = make_error(ErrorCode::already_exists,
                         "there is a model named \"{}\" already; choose another name, or change it "
                         "with berth scale, or remove it with berth rm",
                         deployment.name)
                  .with_field("name");
    }
    return fail(std::move(error));
  }
  return answer_with(context, 201, model);
}

Result<net::Response> get_model(ServerContext& context, const ApiRequest& request) {
  const std::string name = request.param("name");
  auto model = store::get_as<Model>(context.store, model::kModelKind, name);
  if (!model) return fail(as_model_error(std::move(model).error(), name));
  return answer_with(context, 200, model->value);
}

Result<net::Response> patch_model(ServerContext& context, const ApiRequest& request) {
  const std::string name = request.param("name");
  if (!request.body.is_object()) {
    return fail(ErrorCode::invalid_request, "the body must be an object of the fields to change");
  }
  auto changed = store::update<Model>(
      context.store, model::kModelKind, name, [&](Model& model) -> Result<void> {
        if (model.deleting) {
          return fail(ErrorCode::conflict, "the model \"{}\" is being removed", name);
        }
        json::object document = to_json(model.deployment, Secrets::show).get_object();
        for (const auto& field : request.body.get_object()) document[field.key()] = field.value();
        BERTH_TRY(const auto deployment,
                  from_json<model::Deployment>(document, UnknownMembers::refuse));
        BERTH_TRY(model, accept_edit(model, deployment, context.backends));
        return {};
      });
  if (!changed) return fail(as_model_error(std::move(changed).error(), name));
  return answer_with(context, 200, changed->value);
}

Result<net::Response> delete_model(ServerContext& context, const ApiRequest& request) {
  const std::string name = request.param("name");
  auto changed = store::update<Model>(context.store, model::kModelKind, name,
                                      [](Model& model) { model.deleting = true; });
  if (!changed) return fail(as_model_error(std::move(changed).error(), name));
  return answer_with(context, 202, changed->value);
}

Result<net::Response> list_instances(ServerContext& context, const ApiRequest& request) {
  BERTH_TRY(const auto stored, store::list_as<Instance>(context.store, model::kInstanceKind));
  const auto wanted = request.head.query.get("model");
  json::array items;
  for (const auto& instance : stored.items) {
    if (wanted && instance.value.model != *wanted) continue;
    items.push_back(instance_view(instance.value, context.workers));
  }
  return net::json_response(200, {{"items", items}, {"revision", stored.revision}});
}

Result<net::Response> get_instance(ServerContext& context, const ApiRequest& request) {
  const std::string name = request.param("name");
  auto stored = store::get_as<Instance>(context.store, model::kInstanceKind, name);
  if (!stored && stored.error().code == ErrorCode::not_found) {
    return fail(ErrorCode::not_found, "there is no instance named \"{}\"; see berth ps", name);
  }
  if (!stored) return fail(std::move(stored).error());
  return net::json_response(200, instance_view(stored->value, context.workers));
}

}  // namespace

void add_model_routes(net::Router& router, ServerContext& context) {
  const auto add = [&](std::string_view method, std::string_view pattern, ApiHandler handler) {
    add_route(router, context, RouteAccess::admin, method, pattern, std::move(handler));
  };
  add("GET", "/api/v1/models", list_models);
  add("POST", "/api/v1/models", create_model);
  add("GET", "/api/v1/models/{name}", get_model);
  add("PATCH", "/api/v1/models/{name}", patch_model);
  add("DELETE", "/api/v1/models/{name}", delete_model);
  add("GET", "/api/v1/instances", list_instances);
  add("GET", "/api/v1/instances/{name}", get_instance);
}

}  // namespace berth::server
