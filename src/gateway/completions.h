// The way of one request: from the client through the router to an engine, and back as bytes come.
#pragma once

#include "base/clock.h"
#include "gateway/gateway_metrics.h"
#include "gateway/routing_table.h"
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

// Passes a request on to `path` of an engine, such as "/v1/chat/completions".
net::Task<> relay_completion(GatewayContext& context, net::Exchange& exchange, std::string path,
                             std::string route);

}  // namespace berth::gateway
