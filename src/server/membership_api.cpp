#include "server/membership_api.h"

#include "cluster/version.h"
#include "server/cluster_door.h"
#include "server/memberships.h"
#include "server/views.h"
#include "store/typed.h"

#include <spdlog/spdlog.h>

namespace berth::server {
namespace {

constexpr std::int64_t kDay = 86'400;
constexpr std::int64_t kShortestToken = 60;
constexpr std::int64_t kLongestToken = 365 * kDay;

Result<net::Response> join(ServerContext& context, const ApiRequest& request) {
  BERTH_TRY(const auto wish, from_json<cluster::JoinRequest>(request.body, UnknownMembers::ignore));
  BERTH_CHECK(cluster::check_versions(context.version, wish.version));
  auto membership = context.members.join(request.head.bearer_token(), wish);
  if (!membership) {
    spdlog::warn("{} may not join: {}", request.head.peer, membership.error().to_string());
    return fail(std::move(membership).error());
  }
  spdlog::info("{} joined as the worker {}", request.head.peer, membership->worker);
  return net::json_response(200, to_json(*membership));
}

Result<net::Response> renew(ServerContext& context, const ApiRequest& request) {
  BERTH_TRY(const auto wish,
            from_json<cluster::RenewRequest>(request.body, UnknownMembers::ignore));
  BERTH_TRY(const auto membership, context.members.renew(request.member, wish.request));
  return net::json_response(200, to_json(membership));
}

struct NewToken {
  std::int64_t expires_in = kDay;  // seconds
};
BOOST_DESCRIBE_STRUCT(NewToken, (), (expires_in))
constexpr FieldInfo kNewTokenFields[] = {{.name = "expires_in",
                                          .text = "how long machines may join with it",
                                          .unit = "seconds",
                                          .minimum = kShortestToken,
                                          .maximum = kLongestToken}};
constexpr std::span<const FieldInfo> field_table(const NewToken*) { return kNewTokenFields; }

// A token as lists show it.
struct TokenView {
  std::string id;
  std::string created_at;
  std::string expires_at;
};
BOOST_DESCRIBE_STRUCT(TokenView, (), (id, created_at, expires_at))

// The only time that the token itself is shown.
struct CreatedToken {
  std::string id;
  std::string token;
  std::string server;   // where machines reach this one: "https://10.0.0.5:8443"
  std::string command;  // to run on the other machine
  std::string expires_at;
};
BOOST_DESCRIBE_STRUCT(CreatedToken, (), (id, token, server, command, expires_at))

struct RemovedToken {
  std::string id;
  bool removed = true;
};
BOOST_DESCRIBE_STRUCT(RemovedToken, (), (id, removed))

struct RemovedWorker {
  std::string name;
  bool removed = true;
};
BOOST_DESCRIBE_STRUCT(RemovedWorker, (), (name, removed))

Result<net::Response> create_token(ServerContext& context, const ApiRequest& request) {
  NewToken wish;
  if (!request.body.is_null()) {
    BERTH_TRY(wish, read_body<NewToken>(request));
  }
  // The door first: a token is no use where nobody can reach the server.
  BERTH_TRY(const std::string server, context.door.open());
  BERTH_TRY(const auto made, context.members.create_token(std::chrono::seconds(wish.expires_in)));
  return net::json_response(
      201, to_json(CreatedToken{
               .id = made.record.id,
               .token = made.text,
               .server = server,
               .command = fmt::format("berth worker --server {} --token {}", server, made.text),
               .expires_at = made.record.expires_at}));
}

Result<net::Response> list_tokens(ServerContext& context, const ApiRequest&) {
  BERTH_TRY(const auto tokens, context.members.tokens());
  json::array items;
  for (const auto& token : tokens) {
    if (token.local) continue;
    items.push_back(to_json(
        TokenView{.id = token.id, .created_at = token.created_at, .expires_at = token.expires_at}));
  }
  return net::json_response(200, {{"items", items}});
}

Result<net::Response> delete_token(ServerContext& context, const ApiRequest& request) {
  BERTH_CHECK(context.members.remove_token(request.param("id")));
  return net::json_response(200, to_json(RemovedToken{.id = request.param("id")}));
}

// The instances on a worker, as "a, b".
Result<std::string> instances_on(ServerContext& context, const std::string& worker) {
  BERTH_TRY(const auto stored,
            store::list_as<model::Instance>(context.store, model::kInstanceKind));
  std::vector<std::string> names;
  for (const auto& item : stored.items) {
    const auto& placement = item.value.placement;
    if (placement && placement->worker == worker) names.push_back(item.name);
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

Result<net::Response> delete_worker(ServerContext& context, const ApiRequest& request) {
  const std::string name = request.param("name");
  BERTH_TRY(const auto worker, find_worker(context, name));
  if (worker.local && worker.state == model::WorkerState::ready) {
    return fail(ErrorCode::conflict,
                "{} is this machine's own worker; start the server with --no-worker first", name);
  }
  BERTH_TRY(const std::string users, instances_on(context, name));
  // Those of a lost worker are placed elsewhere: it does not come back.
  if (!users.empty() && worker.state != model::WorkerState::lost) {
    return fail(ErrorCode::conflict,
                "{0} has the instances {1}; let them run elsewhere first (berth workers drain {0})",
                name, users);
  }
  // What it may do ends first: it must not come back as a new worker.
  BERTH_CHECK(context.members.revoke(name));
  BERTH_CHECK(context.store.remove(model::kWorkerKind, name));
  context.workers.forget(name);
  context.control.poke();
  return net::json_response(200, to_json(RemovedWorker{.name = name}));
}

struct WorkerEdit {
  model::Scheduling scheduling = model::Scheduling::open;
};
BOOST_DESCRIBE_STRUCT(WorkerEdit, (), (scheduling))
constexpr FieldInfo kWorkerEditFields[] = {
    {.name = "scheduling",
     .text = "open; cordoned: nothing new is placed there; draining: what is there moves away too, "
             "until it is drained",
     .required = true}};
constexpr std::span<const FieldInfo> field_table(const WorkerEdit*) { return kWorkerEditFields; }

Result<net::Response> edit_worker(ServerContext& context, const ApiRequest& request) {
  BERTH_TRY(const auto edit, read_body<WorkerEdit>(request));
  if (edit.scheduling == model::Scheduling::drained) {
    return fail(make_error(ErrorCode::invalid_parameter,
                           "a worker becomes drained by itself once it has no instance; say "
                           "\"draining\"")
                    .with_field("scheduling"));
  }
  const std::string name = request.param("name");
  BERTH_CHECK(find_worker(context, name));
  bool changed = false;
  BERTH_TRY(const auto worker,
            store::update<model::Worker>(
                context.store, model::kWorkerKind, name, [&](model::Worker& value) {
                  const bool is_done = edit.scheduling == model::Scheduling::draining &&
                                       value.scheduling == model::Scheduling::drained;
                  changed = !is_done && value.scheduling != edit.scheduling;
                  if (changed) value.scheduling = edit.scheduling;
                  return changed;
                }));
  if (changed) {
    BERTH_CHECK(context.store.append_event({.id = 0,
                                            .time = context.clock.system_now(),
                                            .kind = std::string(model::kWorkerKind),
                                            .name = name,
                                            .level = store::EventLevel::info,
                                            .reason = "Scheduling",
                                            .message = std::string(enum_name(edit.scheduling))}));
  }
  return net::json_response(200, to_json(worker.value));
}

}  // namespace

void add_joining_routes(net::Router& router, ServerContext& context) {
  add_route(router, context, RouteAccess::token, "POST", "/cluster/v1/join", join);
  add_route(router, context, RouteAccess::worker, "POST", "/cluster/v1/renew", renew);
}

void add_membership_routes(net::Router& router, ServerContext& context) {
  const auto add = [&](std::string_view method, std::string_view pattern, ApiHandler handler,
                       net::RouteDoc doc) {
    add_route(router, context, RouteAccess::admin, method, pattern, std::move(handler),
              std::move(doc));
  };
  add("GET", "/api/v1/tokens", list_tokens,
      {.summary = "The tokens by which machines may join, without themselves",
       .tag = "workers",
       .response = list_of(net::body<TokenView>())});
  add("POST", "/api/v1/tokens", create_token,
      {.summary = "Make a join token; the answer is the only place that shows it",
       .tag = "workers",
       .request = net::body<NewToken>(SchemaUse::input),
       .status = 201,
       .response = net::body<CreatedToken>(),
       .request_optional = true});
  add("DELETE", "/api/v1/tokens/{id}", delete_token,
      {.summary = "Let nobody else join with a token",
       .tag = "workers",
       .response = net::body<RemovedToken>()});
  add("PATCH", "/api/v1/workers/{name}", edit_worker,
      {.summary = "Cordon a worker, drain it, or open it again",
       .tag = "workers",
       .request = net::body<WorkerEdit>(SchemaUse::input),
       .response = net::body<model::Worker>()});
  add("DELETE", "/api/v1/workers/{name}", delete_worker,
      {.summary =
           "Remove a worker that is lost or has no instances, and take its certificates back",
       .tag = "workers",
       .response = net::body<RemovedWorker>()});
}

}  // namespace berth::server
