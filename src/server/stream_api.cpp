#include "server/stream_api.h"

#include "net/client.h"
#include "server/views.h"
#include "server/watch_stream.h"
#include "store/typed.h"

namespace berth::server {
namespace {

// Between two lines of a followed log there may be any pause.
constexpr std::chrono::hours kLogIdle{24};
constexpr net::ClientDeadlines kLogDeadlines{.connect = std::chrono::seconds(5),
                                             .head = std::chrono::seconds(15),
                                             .idle = std::chrono::seconds(15)};

// A document as the management API shows it: without secrets. One that can not be read is shown
// by its name alone, so that one bad document does not end a watch.
template <class T>
json::object without_secrets(const json::object& data) {
  const auto value = from_json<T>(json::value(data), UnknownMembers::ignore);
  return value ? to_json(*value).get_object() : json::object{};
}

std::optional<json::object> show(const store::Change& change) {
  if (change.kind == model::kModelKind) return without_secrets<model::Model>(change.data);
  if (change.kind == model::kInstanceKind) return without_secrets<model::Instance>(change.data);
  return without_secrets<model::Worker>(change.data);
}

net::Task<> watch(ServerContext& context, net::Exchange& exchange) {
  return serve_watch(context, exchange,
                     {.access = RouteAccess::admin,
                      .kinds = {std::string(model::kModelKind), std::string(model::kInstanceKind),
                                std::string(model::kWorkerKind)},
                      .show = show});
}

// Where the log of an instance can be read.
struct LogSource {
  net::Endpoint worker;
  net::TlsPeer peer;
};

Result<LogSource> source_at(const ServerContext& context, const std::string& name,
                            const net::Query& /*query*/) {
  BERTH_TRY(const auto worker, find_worker(context, name));
  BERTH_TRY(auto endpoint, net::parse_endpoint(worker.address));
  return LogSource{.worker = std::move(endpoint), .peer = context.caller.peer_of(name)};
}

// The worker of a process of an instance that has a place; "member" in `query` says which.
Result<std::string> worker_of(const model::Instance& instance, const net::Query& query) {
  const auto wish = query.get("member");
  if (!wish || *wish == "0") return instance.placement->worker;
  const std::size_t count = instance.gang ? instance.gang->members.size() : 1;
  for (std::size_t i = 1; i < count; ++i) {
    if (*wish == std::to_string(i)) return instance.gang->members[i].worker;
  }
  return fail(make_error(ErrorCode::invalid_parameter,
                         "{} has {} {}; a member is counted from 0 (got {})", instance.name, count,
                         count == 1 ? "process" : "processes", *wish)
                  .with_field("member"));
}

Result<LogSource> find_log_source(const ServerContext& context, const std::string& name,
                                  const net::Query& query) {
  auto instance = store::get_as<model::Instance>(context.store, model::kInstanceKind, name);
  if (!instance && instance.error().code == ErrorCode::not_found) {
    return fail(ErrorCode::not_found, "there is no instance named \"{}\"; see berth ps", name);
  }
  if (!instance) return fail(std::move(instance).error());
  if (!instance->value.placement) {
    return fail(ErrorCode::conflict, "{} has no log yet: {}", name, instance->value.reason);
  }
  BERTH_TRY(const auto worker, worker_of(instance->value, query));
  return source_at(context, worker, query);
}

net::Task<> relay(net::Exchange& exchange, net::ClientResponse upstream) {
  net::Headers headers;
  headers.set("content-type",
              upstream.headers().get("content-type").value_or("text/plain; charset=utf-8"));
  exchange.on_client_gone([&upstream] { upstream.abort(); });
  auto sent = co_await exchange.start(upstream.status(), std::move(headers));
  while (sent) {
    const auto piece = co_await upstream.read_some(kLogIdle);
    if (!piece || !*piece) break;
    sent = co_await exchange.write(**piece);
  }
  exchange.on_client_gone({});
  if (sent) co_await exchange.finish();
}

// Which log of a worker is asked for, and where its address comes from.
struct LogRoute {
  Result<LogSource> (*find)(const ServerContext&, const std::string& name, const net::Query&);
  std::string path;  // the worker's own route
  std::string of;    // for errors
};

// The query is handed on.
net::Task<> relay_log(ServerContext& context, net::Exchange& exchange, LogRoute route) {
  const auto admitted = co_await admit(context, RouteAccess::admin, exchange);
  if (!admitted) co_return;
  const std::string name(exchange.param("name"));
  auto source = co_await net::offload(
      context.pool, [&] { return route.find(context, name, exchange.request().query); });
  if (!source) {
    co_await exchange.respond(net::error_response(source.error()));
    co_return;
  }
  net::ClientRequest request;
  request.target = fmt::format("{}?{}", route.path, exchange.request().query.to_string());
  request.tls = std::move(source->peer);
  auto& client = net::Client::of(exchange.executor().context());
  auto upstream = co_await client.send(source->worker, std::move(request), kLogDeadlines);
  if (!upstream) {
    auto error = std::move(upstream).error().context("{} can not be asked", route.of);
    co_await exchange.respond(net::error_response(error));
    co_return;
  }
  co_await relay(exchange, std::move(*upstream));
}

net::Task<> logs(ServerContext& context, net::Exchange& exchange) {
  const auto name = exchange.param("name");
  return relay_log(context, exchange,
                   {.find = find_log_source,
                    .path = fmt::format("/worker/v1/instances/{}/logs", net::percent_encode(name)),
                    .of = fmt::format("the worker of {}", name)});
}

net::Task<> worker_logs(ServerContext& context, net::Exchange& exchange) {
  return relay_log(context, exchange,
                   {.find = source_at,
                    .path = "/worker/v1/logs",
                    .of = fmt::format("the worker {}", exchange.param("name"))});
}

}  // namespace

void add_stream_routes(net::Router& router, ServerContext& context) {
  router.add("GET", "/api/v1/watch",
             [&context](net::Exchange& exchange) { return watch(context, exchange); },
             {.summary = "Changes as server-sent events: put, delete, bookmark",
              .tag = "watch",
              .query = {{"kinds", "of documents, with commas: model, instance, worker; all"},
                        {"since", "a revision; changes after it are told", "integer"}},
              .headers = {{"Last-Event-ID", "the last revision that was seen; wins over since"}},
              .content_type = "text/event-stream"});
  router.add("GET", "/api/v1/instances/{name}/logs",
             [&context](net::Exchange& exchange) { return logs(context, exchange); },
             {.summary = "What the instance's engine wrote",
              .tag = "instances",
              .query = {{"tail", "only so many of the last lines", "integer"},
                        {"attempt", "of this attempt; the last one", "integer"},
                        {"member", "of this process of a gang; 0, the main one", "integer"},
                        {"previous", "of the attempt before the last one", "boolean"},
                        {"since", "only what was written from then on: 10m, or RFC 3339"},
                        {"follow", "goes on as more is written", "boolean"}},
              .content_type = "text/plain; charset=utf-8"});
  router.add("GET", "/api/v1/workers/{name}/logs",
             [&context](net::Exchange& exchange) { return worker_logs(context, exchange); },
             {.summary = "What the worker itself wrote",
              .tag = "workers",
              .query = {{"tail", "only so many of the last lines", "integer"},
                        {"since", "only what was written from then on: 10m, or RFC 3339"},
                        {"follow", "goes on as more is written", "boolean"}},
              .content_type = "text/plain; charset=utf-8"});
}

}  // namespace berth::server
