// Gateway: the OpenAI-compatible API in front of all instances, /health and /metrics.
#pragma once

#include "base/clock.h"
#include "gateway/completions.h"
#include "gateway/gateway_metrics.h"
#include "gateway/routing_table.h"
#include "net/router.h"
#include "server/access.h"
#include "store/store.h"

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace berth::gateway {

struct GatewayOptions {
  // Engines of this machine are reached by its worker's proxy too.
  bool always_by_proxy = false;
  // How a worker's proxy knows the server, and the server it; plain HTTP in tests. Thread-safe.
  std::function<net::TlsPeer(const std::string& worker)> peer_of = [](const std::string&) {
    return net::TlsPeer{};
  };
};

// Outlives the server whose router it was added to. Thread-safe.
class Gateway {
 public:
  Gateway(store::Store& store, const backends::Registry& backends, const server::Access& access,
          const Clock& clock, GatewayOptions options = {});

  // GET /v1/models, GET /v1/models/{name}, POST /v1/chat/completions, POST /v1/completions,
  // POST /v1/embeddings, POST /v1/rerank, POST /v2/rerank, GET /health (without a key),
  // GET /metrics.
  void add_routes(net::Router& router);
  // What /metrics tells besides, in Prometheus' text format; called on any thread. Before the
  // server starts.
  void add_figures(std::function<std::string()> figures) { figures_.push_back(std::move(figures)); }

 private:
  net::Task<> list_models(net::Exchange& exchange);
  net::Task<> get_model(net::Exchange& exchange);
  net::Task<> metrics(net::Exchange& exchange);

  RoutingTable table_;
  GatewayMetrics metrics_;
  std::vector<std::function<std::string()>> figures_;
  GatewayContext context_;
};

}  // namespace berth::gateway
