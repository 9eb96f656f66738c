#include "server/inspect_api.h"

#include "server/inspection.h"
#include "server/judges.h"
#include "server/model_files.h"
#include "sources/local.h"
#include "sources/remote_profile.h"

#include <thread>

namespace berth::server {
namespace {

Machine machine_of(const FoundModel& found) {
  if (!found.worker) return {.cpu = "", .cores = std::thread::hardware_concurrency(), .memory = {}};
  const auto& system = found.worker->system;
  return {.cpu = system.cpu, .cores = system.cores, .memory = system.memory};
}

Result<FoundModel> find_on_the_web(ServerContext& context, InspectRequest& wish) {
  if (wish.worker) {
    return fail(make_error(ErrorCode::invalid_parameter,
                           "the server itself reads what is on the web; leave out the worker")
                    .with_field("worker"));
  }
  BERTH_TRY(wish.source, sources::normalise_remote(wish.source));
  return find_model_at(context, wish.source);
}

// Finds what is asked for, and puts its source as it is meant in its place.
Result<FoundModel> find_source(ServerContext& context, InspectRequest& wish) {
  if (sources::is_remote(wish.source)) return find_on_the_web(context, wish);
  if (!wish.source.starts_with('/') && !wish.source.starts_with("file:")) {
    return fail(make_error(ErrorCode::invalid_parameter,
                           "source must be an absolute path on a worker's machine (got {})",
                           wish.source)
                    .with_field("source"));
  }
  BERTH_TRY(const auto path, sources::normalise_source(wish.source, "/"));
  BERTH_TRY(auto found, find_model(context, path, wish.worker));
  wish.source = found.path;
  return found;
}

Result<net::Response> inspect_model(ServerContext& context, const ApiRequest& request) {
  BERTH_TRY(auto wish, read_body<InspectRequest>(request));
  BERTH_TRY(auto found, find_source(context, wish));
  const Machine machine = machine_of(found);
  const auto judge = [&](cluster::JudgeRequest what) {
    return judge_found(context, found, std::move(what));
  };
  BERTH_TRY(Inspection inspection, inspect(wish, found.profile, machine, context.backends, judge));
  if (found.worker) inspection.worker = found.worker->name;
  inspection.hub = std::move(found.hub);
  return net::json_response(200, to_json(inspection));
}

}  // namespace

void add_inspect_routes(net::Router& router, ServerContext& context) {
  add_route(router, context, RouteAccess::admin, "POST", "/api/v1/evaluate", inspect_model,
            {.summary = "What a model is, what it needs and which backend fits; changes nothing",
             .tag = "models",
             .request = net::body<InspectRequest>(SchemaUse::input),
             .response = net::body<Inspection>()},
            RoutePool::files);
}

}  // namespace berth::server
