#include "server/admin_api.h"

#include "store/typed.h"

#include <algorithm>
#include <charconv>

namespace berth::server {
namespace {

constexpr std::size_t kMaxEvents = 1000;

Result<std::vector<model::Worker>> all_workers(ServerContext& context) {
  BERTH_TRY(auto stored, store::list_as<model::Worker>(context.store, model::kWorkerKind));
  std::vector<model::Worker> workers;
  for (auto& item : stored.items) {
    if (const auto latest = context.workers.find(item.name)) {
      if (!latest->report.devices.empty()) item.value.devices = latest->report.devices;
      if (!latest->report.packs.empty()) item.value.packs = latest->report.packs;
      item.value.warnings = latest->report.warnings;
    }
    workers.push_back(std::move(item.value));
  }
  return workers;
}

Result<net::Response> list_workers(ServerContext& context, const ApiRequest&) {
  BERTH_TRY(const auto workers, all_workers(context));
  return net::json_response(200, {{"items", to_json(workers)}});
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
  BERTH_TRY(const auto workers, all_workers(context));
  std::vector<store::Write> writes;
  for (const auto& worker : workers) {
    if (only && worker.name != *only) continue;
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
  return net::json_response(202, {{"pack", pack}, {"wanted", wanted}});
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

Result<net::Response> create_key(ServerContext& context, const ApiRequest& request) {
  BERTH_TRY(const auto wish, read_body<NewKey>(request));
  BERTH_TRY(const std::string key, context.access.create(wish.name, wish.role));
  return net::json_response(
      201, {{"name", wish.name}, {"role", json::string(enum_name(wish.role))}, {"key", key}});
}

Result<net::Response> delete_key(ServerContext& context, const ApiRequest& request) {
  BERTH_CHECK(context.access.remove(request.param("name")));
  return net::json_response(200, {{"name", request.param("name")}, {"removed", true}});
}

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
    items.push_back(json::object{{"id", event.id},
                                 {"time", to_rfc3339(event.time)},
                                 {"level", json::string(enum_name(event.level))},
                                 {"kind", event.kind},
                                 {"name", event.name},
                                 {"reason", event.reason},
                                 {"message", event.message}});
  }
  return net::json_response(200, {{"items", items}});
}

Result<net::Response> server_facts(ServerContext& context, const ApiRequest&) {
  BERTH_TRY(const auto workers, all_workers(context));
  const auto uptime = std::chrono::duration_cast<std::chrono::seconds>(context.clock.steady_now() -
                                                                       context.started);
  return net::json_response(200, {{"version", context.version},
                                  {"data", context.data.root.string()},
                                  {"workers", workers.size()},
                                  {"uptime_seconds", uptime.count()}});
}

}  // namespace

void add_admin_routes(net::Router& router, ServerContext& context) {
  const auto add = [&](std::string_view method, std::string_view pattern, ApiHandler handler) {
    add_route(router, context, RouteAccess::admin, method, pattern, std::move(handler));
  };
  add("GET", "/api/v1/workers", list_workers);
  add("GET", "/api/v1/engines", list_engines);
  add("POST", "/api/v1/engines/{pack}/install", install_pack);
  add("DELETE", "/api/v1/engines/{pack}", remove_pack);
  add("GET", "/api/v1/keys", list_keys);
  add("POST", "/api/v1/keys", create_key);
  add("DELETE", "/api/v1/keys/{name}", delete_key);
  add("GET", "/api/v1/events", list_events);
  add("GET", "/api/v1/server", server_facts);
}

}  // namespace berth::server
