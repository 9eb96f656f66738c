// What all requests for models share: the call of an engine, what its errors mean, and the end.
#pragma once

#include "backends/backend.h"
#include "base/clock.h"
#include "gateway/gateway_metrics.h"
#include "gateway/routing_table.h"
#include "net/client.h"
#include "net/exchange.h"
#include "server/access.h"

#include <functional>
#include <string>
#include <string_view>

namespace berth::gateway {

// What the handlers of the gateway share; all of it is thread-safe and outlives them.
struct GatewayContext {
  const RoutingTable& table;
  GatewayMetrics& metrics;
  const server::Access& access;
  const Clock& clock;
  std::function<net::TlsPeer(const std::string& worker)> peer_of;  // by whose proxy it goes
};

// Longest wait for the head of an engine's answer, and between two pieces of it: a whole answer of
// a slow machine, when the client does not stream.
inline constexpr std::chrono::minutes kEnginePatience{30};

// Of an answer in one piece.
inline constexpr Bytes kLargestAnswer = 64_MiB;

// Posts `request`, which has only its body, to `path` of an engine; the call ends with the client's
// connection. Fails with unavailable where the engine was not reached, so that another one may
// serve. `target` outlives the call.
net::Task<Result<net::ClientResponse>> ask_engine(GatewayContext& context, net::Exchange& exchange,
                                                  const Target& target, std::string path,
                                                  net::ClientRequest request);

// Whether the engine was not reached: no byte of an answer was seen.
inline bool is_unreached(const Error& error) { return error.code == ErrorCode::unavailable; }

// What a client is told of an engine's error.
struct Failure {
  int status = 500;
  Error error;
};

// An answer of `status` 400 or above and its body, as the engine gave it. Pure.
Failure read_failure(int status, std::string_view body, const backends::EngineApi& api);

// What became of a request, as far as it is known.
struct Outcome {
  std::string model;  // as routed; empty where none was found
  std::string route;  // "chat_completions"
  SteadyTime started;
  int status = 200;
  bool complete = false;  // the engine's answer was read to its end
  Duration first_byte{};
  Usage usage;
};

// Tells the client the error of `done`, where it has got no answer, and counts the request.
net::Task<> conclude(GatewayContext& context, net::Exchange& exchange, Outcome outcome,
                     Result<void> done);

}  // namespace berth::gateway
