#include "server/context.h"

#include "base/log.h"
#include "store/typed.h"

#include <atomic>
#include <memory>

namespace berth::server {
namespace {

// Parses the body where there is one.
Result<json::value> parse_body(const std::string& body) {
  if (body.empty()) return json::value(nullptr);
  return parse_json(body);
}

Result<Member> authorise(const ServerContext& context, RouteAccess access,
                         const net::Request& request) {
  if (access == RouteAccess::worker) return context.members.authenticate(request);
  if (access == RouteAccess::admin) BERTH_CHECK(context.access.authenticate_admin(request));
  return Member{};
}

net::Task<> answer(ServerContext& context, RouteAccess access, net::ThreadPool& pool,
                   const ApiHandler& handler, net::Exchange& exchange) {
  auto admitted = co_await admit(context, access, exchange);
  if (!admitted) co_return;
  const auto body = co_await exchange.read_body();
  if (!body) {
    co_await exchange.respond(net::error_response(body.error()));
    co_return;
  }
  ApiRequest request{.head = exchange.request(),
                     .params = exchange.params(),
                     .body = nullptr,
                     .member = *std::move(admitted)};
  // Of many that come at once, some have given up by the time that their turn comes. To work for
  // them would make the others give up as well.
  const auto is_gone = std::make_shared<std::atomic<bool>>(false);
  exchange.on_client_gone([is_gone] { *is_gone = true; });
  // A body is read where it is needed: as values it takes many times the memory of its text.
  auto work = [&context, &handler, &text = *body, request = std::move(request),
               is_gone]() mutable -> Result<net::Response> {
    if (*is_gone) return fail(ErrorCode::cancelled, "the client has left");
    BERTH_TRY(request.body, parse_body(text));
    return handler(context, request);
  };
  auto response = co_await net::offload(pool, std::move(work));
  exchange.on_client_gone({});
  if (exchange.gone()) co_return;
  if (!response) {
    const Error& error = response.error();
    if (http_status(error.code) >= 500) {
      log_error_sparingly(fmt::format("{} {}: {}", exchange.request().method,
                                      exchange.request().path, error.to_string()));
    }
    co_await exchange.respond(net::error_response(error));
    co_return;
  }
  co_await exchange.respond(std::move(*response));
}

}  // namespace

std::string ApiRequest::param(std::string_view name) const {
  for (const auto& [key, value] : params) {
    if (key == name) return value;
  }
  return {};
}

void add_route(net::Router& router, ServerContext& context, RouteAccess access,
               std::string_view method, std::string_view pattern, ApiHandler handler,
               net::RouteDoc doc, RoutePool pool) {
  auto& threads = pool == RoutePool::files ? context.files_pool : context.pool;
  auto answer_it = [&context, &threads, access,
                    handler = std::move(handler)](net::Exchange& exchange) {
    return answer(context, access, threads, handler, exchange);
  };
  router.add(method, pattern, std::move(answer_it), std::move(doc));
}

Result<model::Worker> find_worker(const ServerContext& context, const std::string& name) {
  auto worker = store::get_as<model::Worker>(context.store, model::kWorkerKind, name);
  if (worker) return std::move(worker->value);
  if (worker.error().code != ErrorCode::not_found) return fail(std::move(worker).error());
  return fail(ErrorCode::not_found, "there is no worker named \"{}\"; see berth workers", name);
}

net::Task<std::optional<Member>> admit(ServerContext& context, RouteAccess access,
                                       net::Exchange& exchange) {
  auto allowed = authorise(context, access, exchange.request());
  if (allowed) co_return *std::move(allowed);
  co_await exchange.respond(net::error_response(allowed.error()));
  co_return std::nullopt;
}

}  // namespace berth::server
