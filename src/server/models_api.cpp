#include "server/models_api.h"

#include "base/schema.h"
#include "server/deploy.h"
#include "server/model_changes.h"
#include "server/rollout.h"
#include "server/views.h"
#include "store/typed.h"

namespace berth::server {
namespace {

using model::Deployment;
using model::Instance;
using model::Model;

Result<std::vector<Instance>> all_instances(ServerContext& context) {
  BERTH_TRY(auto stored, store::list_as<Instance>(context.store, model::kInstanceKind));
  std::vector<Instance> instances;
  instances.reserve(stored.items.size());
  for (auto& item : stored.items) {
    auto& instance = instances.emplace_back(std::move(item.value));
    if (auto reason = latest_reason(instance, context.workers)) instance.reason = *reason;
  }
  return instances;
}

// With the revision as ETag, which If-Match takes.
net::Response with_revision(net::Response response, store::Revision revision) {
  response.headers.set("etag", fmt::format("\"{}\"", revision));
  return response;
}

Result<net::Response> answer_with(ServerContext& context, int status, const Model& model,
                                  store::Revision revision) {
  BERTH_TRY(const auto instances, all_instances(context));
  return with_revision(net::json_response(status, model_view(model, revision, instances)),
                       revision);
}

Result<net::Response> list_models(ServerContext& context, const ApiRequest&) {
  BERTH_TRY(const auto models, store::list_as<Model>(context.store, model::kModelKind));
  BERTH_TRY(const auto instances, all_instances(context));
  json::array items;
  for (const auto& model : models.items) {
    items.push_back(model_view(model.value, edit_revision(model.value, model.revision), instances));
  }
  return net::json_response(200, {{"items", items}, {"revision", models.revision}});
}

Result<Model> accept_new(ServerContext& context, const Deployment& deployment) {
  return accept_deployment(deployment, context.backends, context.clock, eyes_of(context),
                           context.allowed_env);
}

Result<net::Response> create_model(ServerContext& context, const ApiRequest& request) {
  BERTH_TRY(const auto deployment, read_body<Deployment>(request));
  BERTH_TRY(const Model model, accept_new(context, deployment));
  const auto stored = store::put_new(context.store, model::kModelKind, deployment.name, model);
  if (!stored && stored.error().code == ErrorCode::already_exists) {
    return fail(taken_name_error(deployment.name));
  }
  if (!stored) return fail(stored.error());
  return answer_with(context, 201, model, *stored);
}

Result<net::Response> get_model(ServerContext& context, const ApiRequest& request) {
  const std::string name = request.param("name");
  auto model = store::get_as<Model>(context.store, model::kModelKind, name);
  if (!model) return fail(as_model_error(std::move(model).error(), name));
  return answer_with(context, 200, model->value, edit_revision(model->value, model->revision));
}

Result<Model> edit(ServerContext& context, const Model& before, const Deployment& deployment) {
  if (before.deleting) {
    return fail(ErrorCode::conflict, "the model \"{}\" is being removed; try again in a moment",
                before.deployment.name);
  }
  return accept_edit(before, deployment, context.backends, context.clock, eyes_of(context),
                     context.allowed_env);
}

Result<net::Response> patch_model(ServerContext& context, const ApiRequest& request) {
  const std::string name = request.param("name");
  if (!request.body.is_object()) {
    return fail(ErrorCode::invalid_request, "the body must be an object of the fields to change");
  }
  BERTH_TRY(const auto condition, read_condition(request.head));
  BERTH_TRY(const auto change,
            change_model(context.store, name, condition, Write::really,
                         [&](const Model& before) -> Result<Model> {
                           json::object document =
                               to_json(before.deployment, Secrets::show).get_object();
                           for (const auto& field : request.body.get_object()) {
                             document[field.key()] = field.value();
                           }
                           BERTH_TRY(const auto deployment,
                                     from_json<Deployment>(document, UnknownMembers::refuse));
                           return edit(context, before, deployment);
                         }));
  return answer_with(context, 200, change.model, change.revision);
}

// What a PUT did, or would do.
enum class PutOutcome { created, changed, unchanged };
BOOST_DESCRIBE_ENUM(PutOutcome, created, changed, unchanged)

struct PutAnswer {
  PutOutcome outcome = PutOutcome::unchanged;
  bool replaces_instances = false;  // those that run are replaced by new ones
};
BOOST_DESCRIBE_STRUCT(PutAnswer, (), (outcome, replaces_instances))

Result<net::Response> answer_put(ServerContext& context, const ModelChange& change, Write write) {
  const bool is_new = !change.before;
  const PutAnswer answer{
      .outcome = is_new           ? PutOutcome::created
                 : change.differs ? PutOutcome::changed
                                  : PutOutcome::unchanged,
      .replaces_instances = !is_new && change.model.generation != change.before->generation};
  BERTH_TRY(const auto instances, all_instances(context));
  json::object view = model_view(change.model, change.revision, instances);
  const json::value told = to_json(answer);
  for (const auto& member : told.get_object()) view[member.key()] = member.value();
  const int status = is_new && write == Write::really ? 201 : 200;
  return with_revision(net::json_response(status, view), change.revision);
}

Result<net::Response> replace_model(ServerContext& context, const ApiRequest& request) {
  const std::string name = request.param("name");
  BERTH_TRY(const auto deployment, read_body<Deployment>(request));
  if (deployment.name != name) {
    return fail(make_error(ErrorCode::invalid_parameter, "name is \"{}\", but the path says \"{}\"",
                           deployment.name, name)
                    .with_field("name"));
  }
  BERTH_TRY(const auto condition, read_condition(request.head));
  BERTH_TRY(const auto write, read_dry_run(request.head));
  BERTH_TRY(const auto change, put_model(context.store, name, condition, write,
                                         [&](const Model* before) -> Result<Model> {
                                           if (before == nullptr)
                                             return accept_new(context, deployment);
                                           return edit(context, *before, deployment);
                                         }));
  return answer_put(context, change, write);
}

Result<net::Response> delete_model(ServerContext& context, const ApiRequest& request) {
  const std::string name = request.param("name");
  BERTH_TRY(const auto condition, read_condition(request.head));
  BERTH_TRY(const auto change, change_model(context.store, name, condition, Write::really,
                                            [](Model model) -> Result<Model> {
                                              model.deleting = true;
                                              return model;
                                            }));
  return answer_with(context, 202, change.model, change.revision);
}

Result<net::Response> answer_rollout(ServerContext& context, const Model& model,
                                     store::Revision revision) {
  BERTH_TRY(const auto instances, all_instances(context));
  return with_revision(net::json_response(200, rollout_view(model, instances)), revision);
}

Result<net::Response> get_rollout(ServerContext& context, const ApiRequest& request) {
  const std::string name = request.param("name");
  auto model = store::get_as<Model>(context.store, model::kModelKind, name);
  if (!model) return fail(as_model_error(std::move(model).error(), name));
  return answer_rollout(context, model->value, edit_revision(model->value, model->revision));
}

// Which revision to go back to.
struct UndoRequest {
  std::optional<std::uint64_t> to;  // absent: the last one before that was ready
};
BOOST_DESCRIBE_STRUCT(UndoRequest, (), (to))

Result<net::Response> undo_rollout(ServerContext& context, const ApiRequest& request) {
  const std::string name = request.param("name");
  UndoRequest wish;
  if (!request.body.is_null()) {
    BERTH_TRY(wish, read_body<UndoRequest>(request));
  }
  BERTH_TRY(const auto condition, read_condition(request.head));
  BERTH_TRY(const auto change, change_model(context.store, name, condition, Write::really,
                                            [&](const Model& before) -> Result<Model> {
                                              BERTH_TRY(const auto wanted,
                                                        undo_target(before, wish.to));
                                              return edit(context, before, wanted);
                                            }));
  return answer_rollout(context, change.model, change.revision);
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

// The fields of a deployment, none of which must be there; null takes one back to its default.
json::object patch_schema(Schemas&) {
  json::object schema = json_schema<Deployment>(SchemaUse::input);
  schema.erase("required");
  for (auto& property : schema["properties"].get_object()) {
    property.value().get_object().erase("default");
    property.value() =
        json::object{{"anyOf", json::array{property.value(), json::object{{"type", "null"}}}}};
  }
  return schema;
}

json::object put_schema(Schemas& schemas) {
  return both(model_view_schema(schemas), schemas.reference<PutAnswer>(SchemaUse::output));
}

const net::QueryDoc kIfMatch{"If-Match",
                             "a model's revision in quotes; refused with 409 where it is another"};
const net::QueryDoc kIfNoneMatch{"If-None-Match", "\"*\": refused with 409 where it is there"};
const net::QueryDoc kDryRun{"dry_run", "checks all and answers, but changes nothing", "boolean"};

}  // namespace

void add_model_routes(net::Router& router, ServerContext& context) {
  const auto add = [&](std::string_view method, std::string_view pattern, ApiHandler handler,
                       net::RouteDoc doc, RoutePool pool = RoutePool::usual) {
    add_route(router, context, RouteAccess::admin, method, pattern, std::move(handler),
              std::move(doc), pool);
  };
  const auto deployment = net::body<Deployment>(SchemaUse::input);
  add("GET", "/api/v1/models", list_models,
      {.summary = "All models", .tag = "models", .response = list_of(model_view_schema)});
  add("POST", "/api/v1/models", create_model,
      {.summary = "Deploy a model",
       .tag = "models",
       .request = deployment,
       .status = 201,
       .response = model_view_schema},
      RoutePool::files);
  add("GET", "/api/v1/models/{name}", get_model,
      {.summary = "A model; its ETag is its revision",
       .tag = "models",
       .response = model_view_schema});
  add("PUT", "/api/v1/models/{name}", replace_model,
      {.summary = "Deploy a model, or replace its deployment as a whole",
       .tag = "models",
       .query = {kDryRun},
       .headers = {kIfMatch, kIfNoneMatch},
       .request = deployment,
       .response = put_schema,
       .more_statuses = {201}},
      RoutePool::files);
  add("PATCH", "/api/v1/models/{name}", patch_model,
      {.summary = "Change fields of a deployment",
       .tag = "models",
       .headers = {kIfMatch},
       .request = patch_schema,
       .response = model_view_schema},
      RoutePool::files);
  add("DELETE", "/api/v1/models/{name}", delete_model,
      {.summary = "Remove a model and end its engines",
       .tag = "models",
       .headers = {kIfMatch},
       .status = 202,
       .response = model_view_schema});
  add("GET", "/api/v1/models/{name}/rollout", get_rollout,
      {.summary = "How far a model's newest edit is, and its revisions",
       .tag = "models",
       .response = rollout_view_schema});
  add("POST", "/api/v1/models/{name}/rollout/undo", undo_rollout,
      {.summary = "Go back to an earlier revision of a model",
       .tag = "models",
       .headers = {kIfMatch},
       .request = net::body<UndoRequest>(SchemaUse::input),
       .response = rollout_view_schema,
       .request_optional = true},
      RoutePool::files);
  add("GET", "/api/v1/instances", list_instances,
      {.summary = "All instances",
       .tag = "instances",
       .query = {{"model", "only those of this model"}},
       .response = list_of(instance_view_schema)});
  add("GET", "/api/v1/instances/{name}", get_instance,
      {.summary = "An instance", .tag = "instances", .response = instance_view_schema});
}

}  // namespace berth::server
