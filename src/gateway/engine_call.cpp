#include "gateway/engine_call.h"

#include "cluster/protocol.h"

#include <memory>
#include <utility>

namespace berth::gateway {
namespace {

constexpr net::ClientDeadlines kEngineDeadlines{
    .connect = std::chrono::seconds(5), .head = kEnginePatience, .idle = std::chrono::seconds(60)};
constexpr int kClientClosed = 499;  // only in metrics

const backends::EngineRefusal* refusal_of(const backends::EngineApi& api, const Error& error) {
  for (const auto& refusal : api.refusals) {
    if (error.message.starts_with(refusal.begins)) return &refusal;
  }
  return nullptr;
}

}  // namespace

net::Task<Result<net::ClientResponse>> ask_engine(GatewayContext& context, net::Exchange& exchange,
                                                  const Target& target, std::string path,
                                                  net::ClientRequest request) {
  request.method = "POST";
  request.target = target.way.prefix + path;
  request.headers.set("content-type", "application/json");
  if (target.way.worker.empty()) {
    request.headers.set("authorization", "Bearer " + target.way.key);
  } else {
    request.tls = context.peer_of(target.way.worker);
  }
  request.headers.set("x-request-id", exchange.request().id);
  request.abort = std::make_shared<net::Abort>();
  exchange.on_client_gone([abort = request.abort] { abort->abort(); });
  auto& client = net::Client::of(exchange.executor().context());
  auto answer = co_await client.send(target.way.endpoint, std::move(request), kEngineDeadlines);
  exchange.on_client_gone({});
  if (answer && answer->headers().contains(cluster::kUnreachedHeader)) {
    auto why = co_await answer->read_all(1_MiB, kEngineDeadlines.idle);
    co_return fail(net::error_from_response(answer->status(), why.value_or("")));
  }
  co_return answer;
}

Failure read_failure(int status, std::string_view body, const backends::EngineApi& api) {
  Error error = net::error_from_response(status, body);
  if (status == 401 || status == 403) {
    error = make_error(ErrorCode::unavailable, "the engine refused the gateway's key");
    return {.status = http_status(error.code), .error = std::move(error)};
  }
  const auto* refusal = status == 500 ? refusal_of(api, error) : nullptr;
  if (refusal != nullptr) {
    error = make_error(ErrorCode::invalid_parameter, "{}", refusal->message);
    return {.status = http_status(error.code), .error = std::move(error)};
  }
  return {.status = status, .error = std::move(error)};
}

net::Task<> conclude(GatewayContext& context, net::Exchange& exchange, Outcome outcome,
                     Result<void> done) {
  if (!done && !exchange.responded()) {
    const Error& error = done.error();
    outcome.status = http_status(error.code);
    auto response = net::error_response(error);
    const bool later = outcome.status == 503 || outcome.status == 429;
    if (later) response.headers.set("retry-after", "5");
    co_await exchange.respond(std::move(response));
  }
  // A client may leave once it has seen the last event.
  if (exchange.gone() && !outcome.complete) outcome.status = kClientClosed;
  const auto duration = context.clock.steady_now() - outcome.started;
  context.metrics.count({.model = outcome.model,
                         .route = outcome.route,
                         .status = outcome.status,
                         .duration = std::chrono::duration_cast<Duration>(duration),
                         .first_byte = outcome.first_byte,
                         .usage = outcome.usage});
}

}  // namespace berth::gateway
