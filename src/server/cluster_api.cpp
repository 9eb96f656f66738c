#include "server/cluster_api.h"

#include "cluster/protocol.h"
#include "cluster/version.h"
#include "server/gangs.h"
#include "server/watch_stream.h"
#include "server/worker_documents.h"
#include "sources/hub/settings.h"
#include "store/typed.h"

namespace berth::server {
namespace {

using model::Instance;
using model::InstanceState;

// How this server reaches the hubs; nothing where its own settings are wrong, which it says when it
// lists a model.
std::vector<cluster::HubAccess> hubs_of_server() {
  const auto settings = sources::read_hub_settings();
  if (!settings) return {};
  std::vector<cluster::HubAccess> hubs;
  for (const auto hub : {model::Hub::hugging_face, model::Hub::model_scope, model::Hub::ollama}) {
    const auto& place = settings->place_of(hub);
    hubs.push_back({.hub = hub, .endpoint = place.endpoint, .token = place.token});
  }
  return hubs;
}

// A worker speaks for itself only.
Result<void> check_sender(const ApiRequest& request, const std::string& worker) {
  if (request.member.worker == worker) return {};
  return fail(ErrorCode::permission_denied, "the worker {} speaks in the name of \"{}\"",
              request.member.worker, worker);
}

Result<net::Response> register_worker(ServerContext& context, const ApiRequest& request) {
  BERTH_TRY(const auto worker, from_json<model::Worker>(request.body, UnknownMembers::ignore));
  BERTH_CHECK(check_sender(request, worker.name));
  BERTH_CHECK(cluster::check_versions(context.version, worker.version));
  BERTH_TRY(const auto stored,
            store::upsert<model::Worker>(
                context.store, model::kWorkerKind, worker.name, [&](model::Worker& value) {
                  const std::string joined = value.joined_at;
                  const auto scheduling = value.scheduling;
                  value = worker;
                  value.scheduling = scheduling;
                  value.packs.clear();  // much text, alike on most workers: the registry has them
                  value.local = request.member.local;
                  value.state = model::WorkerState::not_ready;
                  value.reason = "has just joined";
                  value.joined_at =
                      joined.empty() ? to_rfc3339(context.clock.system_now()) : joined;
                }));
  context.workers.registered(worker.name, worker.packs);
  const cluster::Registered answer{.name = worker.name,
                                   .revision = stored.revision,
                                   .hubs = hubs_of_server(),
                                   .renew_after = request.member.renew_after,
                                   .keeps_packs = true};
  return net::json_response(200, to_json(answer, Secrets::show));
}

// The documents of `kind` that are for `worker`, as they are.
Result<store::Revision> add_items(ServerContext& context, std::string_view kind,
                                  std::string_view worker, json::array& items) {
  BERTH_TRY(const auto listing, context.store.list(kind));
  for (const auto& document : listing.documents) {
    if (is_for(document.data, worker)) items.push_back(document.data);
  }
  return listing.revision;
}

Result<net::Response> list_assignments(ServerContext& context, const ApiRequest& request) {
  const std::string& worker = request.member.worker;
  json::array items;
  json::array pack_requests;
  json::array file_requests;
  // The older of the two revisions: watching from it loses nothing.
  BERTH_TRY(const auto revision, add_items(context, model::kAssignmentKind, worker, items));
  BERTH_CHECK(add_items(context, model::kPackRequestKind, worker, pack_requests));
  BERTH_CHECK(add_items(context, model::kFileRequestKind, worker, file_requests));
  return net::json_response(200, {{"items", items},
                                  {"pack_requests", pack_requests},
                                  {"file_requests", file_requests},
                                  {"revision", revision}});
}

// Takes over what a worker says of an instance that is one process. False: nothing of it is new.
bool take_process(Instance& instance, const cluster::InstanceReport& report, SystemTime now) {
  const bool same = instance.state == report.state && instance.port == report.port &&
                    instance.pid == report.pid && instance.attempt == report.attempt &&
                    instance.failures == report.failures && instance.reason == report.reason;
  // A changing text within a long step is progress, which stays in memory.
  const bool only_progress =
      instance.state == report.state &&
      (report.state == InstanceState::installing || report.state == InstanceState::downloading);
  if (same || only_progress) return false;
  instance.enter(report.state, report.reason, now);
  instance.host = "127.0.0.1";
  instance.port = report.port;
  instance.pid = report.pid;
  instance.attempt = report.attempt;
  instance.failures = report.failures;
  if (report.last_exit) instance.last_exit = report.last_exit;
  return true;
}

// The same for any. `reachable`: this server can connect to the worker.
bool take_over(Instance& instance, const cluster::InstanceReport& report, bool reachable,
               SystemTime now) {
  if (!reachable && instance.state == InstanceState::unreachable) return false;
  const bool concerns = instance.generation == report.generation && instance.placement &&
                        instance.state != InstanceState::stopping &&
                        instance.state != InstanceState::pending &&
                        // Only the server ends an instance; a worker that goes down ends engines.
                        report.state != InstanceState::stopping;
  if (!concerns) return false;
  if (instance.gang) return take_member(instance, report, now);
  return take_process(instance, report, now);
}

store::EventLevel level_of(InstanceState state) {
  if (state == InstanceState::failed) return store::EventLevel::error;
  if (state == InstanceState::restarting) return store::EventLevel::warning;
  return store::EventLevel::info;
}

Result<void> take_report(ServerContext& context, const cluster::InstanceReport& report,
                         bool reachable) {
  bool changed = false;
  const auto now = context.clock.system_now();
  const auto stored = store::update<Instance>(
      context.store, model::kInstanceKind, report.instance, [&](Instance& instance) {
        changed = take_over(instance, report, reachable, now);
        return changed;
      });
  if (!stored) {
    // An instance that is gone here: its worker ends it, for want of an assignment.
    if (stored.error().code == ErrorCode::not_found) return {};
    return fail(stored.error());
  }
  if (!changed) return {};
  return context.store.append_event(
      {.id = 0,
       .time = now,
       .kind = std::string(model::kInstanceKind),
       .name = report.instance,
       .level = level_of(stored->value.state),
       .reason = std::string(enum_name(stored->value.state)),
       .message = stored->value.reason.empty() ? "answers requests" : stored->value.reason});
}

// Sees that the worker is one of ours, at the address that it tells. Most reports come from where
// the last one came from: the store is not asked then.
Result<void> take_address(ServerContext& context, const cluster::WorkerReport& report) {
  const auto before = context.workers.find(report.worker);
  if (before && before->address == report.address) return {};
  const auto known = store::update<model::Worker>(context.store, model::kWorkerKind, report.worker,
                                                  [&](model::Worker& worker) {
                                                    if (worker.address == report.address)
                                                      return false;
                                                    worker.address = report.address;
                                                    return true;
                                                  });
  if (!known && known.error().code == ErrorCode::not_found) {
    return fail(ErrorCode::not_found, "there is no worker named \"{}\"; register first",
                report.worker);
  }
  if (!known) return fail(known.error());
  return {};
}

Result<net::Response> report(ServerContext& context, const ApiRequest& request) {
  BERTH_TRY(auto report, from_json<cluster::WorkerReport>(request.body, UnknownMembers::ignore));
  BERTH_CHECK(check_sender(request, report.worker));
  BERTH_CHECK(take_address(context, report));
  const std::string worker = report.worker;
  const auto instances = report.instances;
  const auto heard = context.workers.accept(std::move(report));
  if (heard == WorkerRegistry::Heard::unclear) {
    return fail(ErrorCode::conflict,
                "the report leaves out the worker's packs, which this server does not know; send "
                "them");
  }
  if (heard == WorkerRegistry::Heard::older) return net::json_response(200, json::object{});
  const bool reachable = context.workers.trouble(worker).empty();
  for (const auto& instance : instances) BERTH_CHECK(take_report(context, instance, reachable));
  // What is routine is looked at within seconds anyway.
  if (heard == WorkerRegistry::Heard::news) context.control.poke();
  return net::json_response(200, json::object{});
}

net::Task<> watch(ServerContext& context, net::Exchange& exchange) {
  const auto member = context.members.authenticate(exchange.request());
  const std::string worker = member ? member->worker : std::string();
  // The scope keeps out what is for others.
  auto show = [](const store::Change& change) -> std::optional<json::object> {
    return change.data;
  };
  return serve_watch(
      context, exchange,
      {.access = RouteAccess::worker,
       .kinds = {std::string(model::kAssignmentKind), std::string(model::kPackRequestKind),
                 std::string(model::kFileRequestKind)},
       .field = "worker",
       .value = worker,
       .show = std::move(show)});
}

}  // namespace

void add_cluster_routes(net::Router& router, ServerContext& context) {
  const auto add = [&](std::string_view method, std::string_view pattern, ApiHandler handler) {
    add_route(router, context, RouteAccess::worker, method, pattern, std::move(handler));
  };
  add("POST", "/cluster/v1/register", register_worker);
  add("GET", "/cluster/v1/assignments", list_assignments);
  add("POST", "/cluster/v1/report", report);
  router.add("GET", "/cluster/v1/watch",
             [&context](net::Exchange& exchange) { return watch(context, exchange); });
}

}  // namespace berth::server
