#include "server/admin_api.h"

#include "base/schema.h"
#include "server/device_views.h"
#include "server/views.h"
#include "store/typed.h"

#include <algorithm>
#include <charconv>

namespace berth::server {
namespace {

constexpr std::size_t kMaxEvents = 1000;

// What the worker said since it was written down.
void add_latest(const ServerContext& context, model::Worker& worker) {
  if (const auto latest = context.workers.find(worker.name)) {
    if (!latest->devices.empty()) worker.devices = latest->devices;
    worker.warnings = latest->warnings;
  }
  if (const auto packs = context.workers.packs(worker.name); packs && !packs->empty()) {
    worker.packs = *packs;
  }
}

Result<std::vector<model::Worker>> all_workers(ServerContext& context) {
  BERTH_TRY(auto stored, store::list_as<model::Worker>(context.store, model::kWorkerKind));
  std::vector<model::Worker> workers;
  for (auto& item : stored.items) {
    add_latest(context, item.value);
    workers.push_back(std::move(item.value));
  }
  return workers;
}

// The one that is named, if it is there; all without a name.
Result<std::vector<model::Worker>> meant_workers(ServerContext& context,
                                                 const std::optional<std::string>& only) {
  if (!only) return all_workers(context);
  auto stored = store::get_as<model::Worker>(context.store, model::kWorkerKind, *only);
  if (!stored && stored.error().code == ErrorCode::not_found) return std::vector<model::Worker>{};
  if (!stored) return fail(std::move(stored).error());
  add_latest(context, stored->value);
  return std::vector{std::move(stored->value)};
}

Result<net::Response> list_workers(ServerContext& context, const ApiRequest&) {
  BERTH_TRY(const auto workers, all_workers(context));
  return net::json_response(200, {{"items", to_json(workers)}});
}

Result<net::Response> list_devices(ServerContext& context, const ApiRequest&) {
  BERTH_TRY(const auto workers, all_workers(context));
  BERTH_TRY(const auto stored,
            store::list_as<model::Instance>(context.store, model::kInstanceKind));
  std::vector<model::Instance> instances;
  instances.reserve(stored.items.size());
  for (const auto& item : stored.items) instances.push_back(item.value);
  json::array items;
  for (const auto& one : device_statuses(workers, instances, context.workers)) {
    items.push_back(device_view(one));
  }
  return net::json_response(200, {{"items", items}});
}

Result<net::Response> list_engines(ServerContext& context, const ApiRequest&) {
  BERTH_TRY(const auto workers, all_workers(context));
  json::array items;
  for (const auto& worker : workers) {
    for (const auto& status : worker.packs) {
      json::object item = to_json(status).get_object();
      item["worker"] = worker.name;
      items.push_back(std::move(item));
    }
  }
  return net::json_response(200, {{"items", items}});
}

// A pack of one worker, as PackStatus with "worker".
json::object engine_schema(Schemas& schemas) {
  return both(schemas.reference<model::PackStatus>(SchemaUse::output),
              {{"type", "object"},
               {"required", json::array{"worker"}},
               {"properties", json::object{{"worker", json::object{{"type", "string"}}}}}});
}

// What was written down of a pack.
struct PackAsked {
  std::string pack;
  bool wanted = true;
};
BOOST_DESCRIBE_STRUCT(PackAsked, (), (pack, wanted))

struct PackWish {
  std::optional<std::string> worker;
};
BOOST_DESCRIBE_STRUCT(PackWish, (), (worker))
constexpr FieldInfo kPackWishFields[] = {
    {.name = "worker", .text = "the worker that is meant; all workers where absent"}};
constexpr std::span<const FieldInfo> field_table(const PackWish*) { return kPackWishFields; }

// The instances that run from a pack, on one worker or on all, as "a, b"; empty where none does.
Result<std::string> users_of(ServerContext& context, const std::string& pack,
                             const std::optional<std::string>& worker) {
  BERTH_TRY(const auto stored,
            store::list_as<model::Instance>(context.store, model::kInstanceKind));
  std::vector<std::string> users;
  for (const auto& item : stored.items) {
    const auto& placement = item.value.placement;
    const bool uses = placement && placement->pack == pack &&
                      (!worker || placement->worker == *worker) &&
                      item.value.state != model::InstanceState::failed;
    if (uses) users.push_back(item.name);
  }
  return fmt::format("{}", fmt::join(users, ", "));
}

// Writes down what is wanted of a pack; the workers see it and act.
Result<net::Response> want_pack(ServerContext& context, const std::string& pack,
                                const std::optional<std::string>& only, bool wanted) {
  BERTH_TRY(const auto workers, meant_workers(context, only));
  std::vector<store::Write> writes;
  for (const auto& worker : workers) {
    const bool known =
        std::any_of(worker.packs.begin(), worker.packs.end(),
                    [&](const model::PackStatus& status) { return status.pack.name == pack; });
    if (!known) continue;
    const model::PackRequest request{.worker = worker.name,
                                     .pack = pack,
                                     .wanted = wanted,
                                     .at = to_rfc3339(context.clock.system_now())};
    writes.push_back({.kind = std::string(model::kPackRequestKind),
                      .name = fmt::format("{}.{}", worker.name, pack),
                      .data = store::to_data(request)});
  }
  if (writes.empty()) {
    return fail(ErrorCode::not_found,
                "no worker knows an engine pack named \"{}\"; see berth "
                "engines list",
                pack);
  }
  BERTH_CHECK(context.store.commit(std::move(writes)));
  return net::json_response(202, to_json(PackAsked{.pack = pack, .wanted = wanted}));
}

Result<net::Response> install_pack(ServerContext& context, const ApiRequest& request) {
  PackWish wish;
  if (!request.body.is_null()) {
    BERTH_TRY(wish, read_body<PackWish>(request));
  }
  return want_pack(context, request.param("pack"), wish.worker, true);
}

Result<net::Response> remove_pack(ServerContext& context, const ApiRequest& request) {
  std::optional<std::string> worker;
  if (const auto given = request.head.query.get("worker")) worker = std::string(*given);
  const std::string pack = request.param("pack");
  BERTH_TRY(const std::string users, users_of(context, pack, worker));
  if (!users.empty()) {
    return fail(ErrorCode::conflict,
                "the engine pack {} is in use by {}; remove these models first", pack, users);
  }
  return want_pack(context, pack, worker, false);
}

Result<net::Response> list_keys(ServerContext& context, const ApiRequest&) {
  BERTH_TRY(const auto stored, store::list_as<KeyRecord>(context.store, model::kKeyKind));
  json::array items;
  for (const auto& item : stored.items) items.push_back(to_json(item.value));
  return net::json_response(200, {{"items", items}});
}

struct NewKey {
  std::string name;
  KeyRole role = KeyRole::user;
};
BOOST_DESCRIBE_STRUCT(NewKey, (), (name, role))
constexpr FieldInfo kNewKeyFields[] = {
    {.name = "name", .text = "how the key is called", .required = true},
    {.name = "role", .text = "admin: everything; user: the models' API only"}};
constexpr std::span<const FieldInfo> field_table(const NewKey*) { return kNewKeyFields; }

// The only time that the key itself is shown.
struct CreatedKey {
  std::string name;
  KeyRole role = KeyRole::user;
  std::string key;
};
BOOST_DESCRIBE_STRUCT(CreatedKey, (), (name, role, key))

struct RemovedKey {
  std::string name;
  bool removed = true;
};
BOOST_DESCRIBE_STRUCT(RemovedKey, (), (name, removed))

Result<net::Response> create_key(ServerContext& context, const ApiRequest& request) {
  BERTH_TRY(const auto wish, read_body<NewKey>(request));
  BERTH_TRY(const std::string key, context.access.create(wish.name, wish.role));
  return net::json_response(201,
                            to_json(CreatedKey{.name = wish.name, .role = wish.role, .key = key}));
}

Result<net::Response> delete_key(ServerContext& context, const ApiRequest& request) {
  BERTH_CHECK(context.access.remove(request.param("name")));
  return net::json_response(200, to_json(RemovedKey{.name = request.param("name")}));
}

// An event as the API shows it.
struct EventView {
  std::uint64_t id = 0;
  std::string time;  // RFC 3339
  store::EventLevel level = store::EventLevel::info;
  std::string kind;
  std::string name;
  std::string reason;
  std::string message;
};
BOOST_DESCRIBE_STRUCT(EventView, (), (id, time, level, kind, name, reason, message))

Result<std::size_t> read_limit(const ApiRequest& request) {
  const auto text = request.head.query.get("limit");
  if (!text) return 100;
  std::size_t limit = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), limit);
  const bool good = error == std::errc{} && end == text->data() + text->size() && limit >= 1 &&
                    limit <= kMaxEvents;
  if (!good) {
    return fail(make_error(ErrorCode::invalid_parameter,
                           "limit must be a number from 1 to {} (got {})", kMaxEvents, *text)
                    .with_field("limit"));
  }
  return limit;
}

Result<net::Response> list_events(ServerContext& context, const ApiRequest& request) {
  BERTH_TRY(const std::size_t limit, read_limit(request));
  store::EventFilter filter;
  if (const auto kind = request.head.query.get("kind")) filter.kind = std::string(*kind);
  if (const auto name = request.head.query.get("name")) filter.name = std::string(*name);
  BERTH_TRY(const auto events, context.store.list_events(filter, limit));
  json::array items;
  for (const auto& event : events) {
    items.push_back(to_json(EventView{.id = event.id,
                                      .time = to_rfc3339(event.time),
                                      .level = event.level,
                                      .kind = event.kind,
                                      .name = event.name,
                                      .reason = event.reason,
                                      .message = event.message}));
  }
  return net::json_response(200, {{"items", items}});
}

struct ServerFacts {
  std::string version;
  std::string data;  // the data folder
  std::uint64_t workers = 0;
  std::int64_t uptime_seconds = 0;
};
BOOST_DESCRIBE_STRUCT(ServerFacts, (), (version, data, workers, uptime_seconds))

Result<net::Response> server_facts(ServerContext& context, const ApiRequest&) {
  BERTH_TRY(const auto workers, all_workers(context));
  const auto uptime = std::chrono::duration_cast<std::chrono::seconds>(context.clock.steady_now() -
                                                                       context.started);
  return net::json_response(200, to_json(ServerFacts{.version = context.version,
                                                     .data = context.data.root.string(),
                                                     .workers = workers.size(),
                                                     .uptime_seconds = uptime.count()}));
}

}  // namespace

void add_admin_routes(net::Router& router, ServerContext& context) {
  const auto add = [&](std::string_view method, std::string_view pattern, ApiHandler handler,
                       net::RouteDoc doc) {
    add_route(router, context, RouteAccess::admin, method, pattern, std::move(handler),
              std::move(doc));
  };
  add("GET", "/api/v1/workers", list_workers,
      {.summary = "All workers with their devices",
       .tag = "workers",
       .response = list_of(net::body<model::Worker>())});
  add("GET", "/api/v1/devices", list_devices,
      {.summary = "The devices of all workers: what is claimed, used by others, and free",
       .tag = "workers",
       .response = list_of(device_view_schema)});
  add("GET", "/api/v1/engines", list_engines,
      {.summary = "The engine packs of each worker",
       .tag = "engines",
       .response = list_of(engine_schema)});
  add("POST", "/api/v1/engines/{pack}/install", install_pack,
      {.summary = "Install an engine pack",
       .tag = "engines",
       .request = net::body<PackWish>(SchemaUse::input),
       .status = 202,
       .response = net::body<PackAsked>(),
       .request_optional = true});
  add("DELETE", "/api/v1/engines/{pack}", remove_pack,
      {.summary = "Remove an engine pack",
       .tag = "engines",
       .query = {{"worker", "from this worker only"}},
       .status = 202,
       .response = net::body<PackAsked>()});
  add("GET", "/api/v1/keys", list_keys,
      {.summary = "All API keys, without themselves",
       .tag = "keys",
       .response = list_of(net::body<KeyRecord>())});
  add("POST", "/api/v1/keys", create_key,
      {.summary = "Make an API key; the answer is the only place that shows it",
       .tag = "keys",
       .request = net::body<NewKey>(SchemaUse::input),
       .status = 201,
       .response = net::body<CreatedKey>()});
  add("DELETE", "/api/v1/keys/{name}", delete_key,
      {.summary = "Remove an API key", .tag = "keys", .response = net::body<RemovedKey>()});
  add("GET", "/api/v1/events", list_events,
      {.summary = "What happened, the newest first",
       .tag = "events",
       .query = {{"kind", "of objects of this kind: model, instance, worker"},
                 {"name", "of the object of this name"},
                 {"limit", "at most so many, 1 to 1000 (100)", "integer"}},
       .response = list_of(net::body<EventView>())});
  add("GET", "/api/v1/server", server_facts,
      {.summary = "The server itself", .tag = "server", .response = net::body<ServerFacts>()});
}

}  // namespace berth::server
