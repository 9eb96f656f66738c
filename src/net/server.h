// Server: an HTTP/1.1 server on Asio coroutines, one io_context a thread.
#pragma once

#include "base/bytes.h"
#include "base/clock.h"
#include "base/result.h"
#include "net/exchange.h"
#include "net/router.h"
#include "net/url.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace berth::net {

struct ServerDeadlines {
  Duration handshake = std::chrono::seconds(10);  // of TLS
  Duration head = std::chrono::seconds(30);       // for a whole request head, from its first byte
  Duration idle = std::chrono::seconds(75);       // between two requests of a connection
  Duration body = std::chrono::seconds(60);       // without a byte of an awaited body
  Duration write = std::chrono::seconds(60);      // without a byte taken by the client
};

struct ServerOptions {
  Endpoint address{"127.0.0.1", 8080};  // port 0: any free one. A name is resolved, first address
  std::size_t threads = 1;              // ignored with `contexts`
  Bytes head_limit = 64_KiB;            // above: 431
  Bytes body_limit = 32_MiB;            // of `read_body()`; above: 413
  ServerDeadlines deadlines;
  std::size_t max_connections = 10'000;  // above: 503, and the connection is closed
  // Who the server is, asked for each connection, so that a renewed certificate takes effect.
  // Empty: plain HTTP. Must not throw.
  std::function<std::shared_ptr<const Tls>()> tls;
  // Called after each request, on the thread that served it: access log, metrics. Status 499 where
  // the client left first. Must not throw.
  std::function<void(const Request&, int status, Duration)> on_done;
  // Run on these instead of own threads. Each is run by exactly one thread, and outlives the
  // server.
  std::vector<IoContext*> contexts;
};

// Thread-safe, but for the handler's own state: handlers run on several threads.
class Server {
 public:
  // Binds and listens; connections wait until `start`. A taken port fails with unavailable and a
  // message that names the address and what to do.
  static Result<std::unique_ptr<Server>> listen(ServerOptions options, Handler handler);
  static Result<std::unique_ptr<Server>> listen(ServerOptions options, Router router);
  ~Server();  // stop(0)
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  [[nodiscard]] std::uint16_t port() const;
  [[nodiscard]] Endpoint address() const;  // with the port that was found
  [[nodiscard]] std::size_t connections() const;

  // Begins to serve, on own threads or the contexts given. Call once.
  void start();
  // Stops accepting, lets requests under way end for at most `grace`, then cancels them and waits
  // for their end. Blocks; never call it from a thread of the server. Again: does nothing.
  void stop(Duration grace);

 private:
  struct State;
  explicit Server(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace berth::net
