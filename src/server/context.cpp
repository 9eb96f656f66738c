#include "server/context.h"

#include "base/ids.h"

namespace berth::server {
namespace {

// Parses the body where there is one.
Result<json::value> parse_body(const std::string& body) {
  if (body.empty()) return json::value(nullptr);
  return parse_json(body);
}

net::Task<> answer(ServerContext& context, RouteAccess access, const ApiHandler& handler,
                   net::Exchange& exchange) {
  if (auto allowed = authorise(context, access, exchange.request()); !allowed) {
    co_await exchange.respond(net::error_response(allowed.error()));
    co_return;
  }
  const auto body = co_await exchange.read_body();
  if (!body) {
    co_await exchange.respond(net::error_response(body.error()));
    co_return;
  }
  auto parsed = parse_body(*body);
  if (!parsed) {
    co_await exchange.respond(net::error_response(parsed.error()));
    co_return;
  }
  ApiRequest request{
      .head = exchange.request(), .params = exchange.params(), .body = std::move(*parsed)};
  auto work = [&context, &handler, request = std::move(request)] {
    return handler(context, request);
  };
  auto response = co_await net::offload(context.pool, std::move(work));
  if (!response) {
    co_await exchange.respond(net::error_response(response.error()));
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
               std::string_view method, std::string_view pattern, ApiHandler handler) {
  router.add(method, pattern,
             [&context, access, handler = std::move(handler)](net::Exchange& exchange) {
               return answer(context, access, handler, exchange);
             });
}

Result<void> authorise(const ServerContext& context, RouteAccess access,
                       const net::Request& request) {
  if (access == RouteAccess::admin) {
    BERTH_CHECK(context.access.authenticate_admin(request));
    return {};
  }
  if (!equal_constant_time(sha256_hex(request.bearer_token()), context.worker_key_hash)) {
    return fail(ErrorCode::unauthenticated, "the worker's key is not known here");
  }
  return {};
}

}  // namespace berth::server
