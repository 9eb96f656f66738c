// ServerContext: what the handlers of the management API share, and how a handler that blocks
// answers a request.
#pragma once

#include "backends/backend.h"
#include "base/clock.h"
#include "base/data_folder.h"
#include "net/router.h"
#include "net/thread_pool.h"
#include "server/access.h"
#include "server/control_loop.h"
#include "server/worker_registry.h"
#include "store/store.h"

#include <functional>
#include <string>

namespace berth::server {

// References to what outlives the server's handlers. All members are thread-safe.
struct ServerContext {
  store::Store& store;
  net::ThreadPool& pool;  // for what blocks
  Access& access;
  WorkerRegistry& workers;
  ControlLoop& control;
  const backends::Registry& backends;
  const Clock& clock;
  DataFolder data;
  std::string version;
  SteadyTime started;
  std::string worker_key_hash;  // SHA-256 of the local worker's key
};

// A request as handlers that block see it.
struct ApiRequest {
  net::Request head;
  net::Exchange::Params params;
  json::value body;  // null where there is none

  [[nodiscard]] std::string param(std::string_view name) const;
};

using ApiHandler = std::function<Result<net::Response>(ServerContext&, const ApiRequest&)>;

// Who may call a route.
enum class RouteAccess { admin, worker };

// Adds a route whose handler runs on the pool, after the key was checked and the body parsed.
void add_route(net::Router& router, ServerContext& context, RouteAccess access,
               std::string_view method, std::string_view pattern, ApiHandler handler);

// Whether `request` may use a route; for handlers that stream.
Result<void> authorise(const ServerContext& context, RouteAccess access,
                       const net::Request& request);

// A body as a described struct; unknown fields are refused.
template <class T>
Result<T> read_body(const ApiRequest& request) {
  return from_json<T>(request.body, UnknownMembers::refuse);
}

}  // namespace berth::server
