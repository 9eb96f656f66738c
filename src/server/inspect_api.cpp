#include "server/inspect_api.h"

#include "server/inspection.h"
#include "server/model_files.h"
#include "sources/local.h"

#include <thread>

namespace berth::server {
namespace {

Machine machine_of(const FoundModel& found) {
  if (!found.worker) return {.cpu = "", .cores = std::thread::hardware_concurrency(), .memory = {}};
  const auto& system = found.worker->system;
  return {.cpu = system.cpu, .cores = system.cores, .memory = system.memory};
}

Result<net::Response> inspect_model(ServerContext& context, const ApiRequest& request) {
  BERTH_TRY(auto wish, read_body<InspectRequest>(request));
  if (!wish.source.starts_with('/') && !wish.source.starts_with("file:")) {
    return fail(make_error(ErrorCode::invalid_parameter,
                           "source must be an absolute path on a worker's machine (got {})",
                           wish.source)
                    .with_field("source"));
  }
  BERTH_TRY(const auto path, sources::normalise_source(wish.source, "/"));
  wish.source = path.string();
  BERTH_TRY(auto found, find_model(context, path, wish.worker));
  const Machine machine = machine_of(found);
  BERTH_TRY(Inspection inspection,
            inspect(wish, std::move(found.profile), machine, context.backends));
  if (found.worker) inspection.worker = found.worker->name;
  return net::json_response(200, to_json(inspection));
}

}  // namespace

void add_inspect_routes(net::Router& router, ServerContext& context) {
  add_route(router, context, RouteAccess::admin, "POST", "/api/v1/inspect", inspect_model,
            {.summary = "What a model is, what it needs and which backend fits; changes nothing",
             .tag = "models",
             .request = net::body<InspectRequest>(SchemaUse::input),
             .response = net::body<Inspection>()},
            RoutePool::files);
}

}  // namespace berth::server
