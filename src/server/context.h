// ServerContext: what the handlers of the management API share, and how a handler that blocks
// answers a request.
#pragma once

#include "backends/backend.h"
#include "base/clock.h"
#include "base/data_folder.h"
#include "net/router.h"
#include "net/thread_pool.h"
#include "server/access.h"
#include "server/cluster_door.h"
#include "server/control_loop.h"
#include "server/memberships.h"
#include "server/watch_streams.h"
#include "server/worker_questions.h"
#include "server/worker_registry.h"
#include "store/store.h"

#include <functional>
#include <optional>
#include <stop_token>
#include <string>

namespace berth::server {

// References to what outlives the server's handlers. All members are thread-safe.
struct ServerContext {
  store::Store& store;
  net::ThreadPool& pool;        // for what blocks
  net::ThreadPool& files_pool;  // for what waits for the disks of models, here or on workers
  Access& access;
  WorkerRegistry& workers;
  ControlLoop& control;
  WatchStreams& watches;
  const backends::Registry& backends;
  const Clock& clock;
  DataFolder data;
  std::string version;
  SteadyTime started;
  Memberships& members;
  ClusterDoor& door;
  const WorkerCaller& caller;
  std::vector<std::string> allowed_env = {};  // guarded variables that deployments may set
  std::stop_token ending = {};  // the server ends: what takes long on a pool shall not go on
};

// A request as handlers that block see it.
struct ApiRequest {
  net::Request head;
  net::Exchange::Params params;
  json::value body;  // null where there is none
  Member member;     // who asks, on the routes of workers

  [[nodiscard]] std::string param(std::string_view name) const;
};

using ApiHandler = std::function<Result<net::Response>(ServerContext&, const ApiRequest&)>;

// Who may call a route.
enum class RouteAccess {
  admin,
  worker,
  token,  // whoever has a join token, which the handler checks
};

// Where a handler runs: a disk that hangs must hold up nothing but what needs it.
enum class RoutePool { usual, files };

// Adds a route whose handler runs on a pool, after the key was checked and the body parsed. `doc`
// is for the OpenAPI document; routes of the management API have one.
void add_route(net::Router& router, ServerContext& context, RouteAccess access,
               std::string_view method, std::string_view pattern, ApiHandler handler,
               net::RouteDoc doc = {}, RoutePool pool = RoutePool::usual);

// For handlers that stream: who asks, if the request may use the route (a member without a name on
// the routes of others). nullopt: it has been refused.
net::Task<std::optional<Member>> admit(ServerContext& context, RouteAccess access,
                                       net::Exchange& exchange);

// Fails with not_found, saying where workers are listed. Blocks.
Result<model::Worker> find_worker(const ServerContext& context, const std::string& name);

// A body as a described struct; unknown fields are refused.
template <class T>
Result<T> read_body(const ApiRequest& request) {
  return from_json<T>(request.body, UnknownMembers::refuse);
}

}  // namespace berth::server
