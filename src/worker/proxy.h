// The proxy of a worker, what `berth proxy` runs: passes requests of servers on to the engines of
// this machine. A process of its own, so that requests flow while the agent restarts.
//
//   ANY /engines/{name}/{path...}   → the engine of the member `name`, at /{path}
//   ANY /worker/{path...}           → the agent's own listener
//   GET /peer/{path...}             → the same; for other workers, and the agent asks the server
//   GET /tunnel/{name}              → a connection to the engine of the member `name`, by Upgrade;
//                                     for the worker that the agent named
//   GET /health                     → {"status": "ok"}, for everybody
//
// And ports on loopback that lead through such tunnels to engines of other workers.
//
// Over the cluster's TLS; but for peers and tunnels, only the server may come in, by its
// certificate. The engine and the agent get their own keys. An answer with the field
// cluster::kUnreachedHeader means that no engine saw the request.
#pragma once

#include "base/result.h"
#include "net/router.h"
#include "net/tls.h"

#include <filesystem>
#include <memory>

namespace berth::worker {

// Runs until SIGINT or SIGTERM, then lets requests under way end for a while. SIGHUP reads the file
// again. All three must be blocked in every thread. Blocks. Fails with unavailable where its port
// is taken, else as read_proxy_file.
Result<void> run_proxy(const std::filesystem::path& file);

// Its routes, for tests. Thread-safe; outlives the server that it was added to.
class Proxy {
 public:
  explicit Proxy(std::filesystem::path file);
  ~Proxy();
  Proxy(const Proxy&) = delete;
  Proxy& operator=(const Proxy&) = delete;

  // Reads the file again. On failure the routes stay as they are. Blocks.
  Result<void> reload();
  // By which the proxy is known, as of the last `reload`.
  [[nodiscard]] std::shared_ptr<const net::Tls> tls() const;
  void add_routes(net::Router& router);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace berth::worker
