// Client: HTTP/1.1 requests from tasks, over a pool of kept connections; and a blocking form.
#pragma once

#include "base/bytes.h"
#include "base/clock.h"
#include "base/result.h"
#include "net/http.h"
#include "net/task.h"
#include "net/url.h"

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

namespace berth::net {

class Transport;

// Ends a request from outside, such as when nobody waits for its answer any more; cheaper than a
// race. Used on the client's executor.
class Abort {
 public:
  // The request, or the next one that is given this, fails with cancelled.
  void abort();
  [[nodiscard]] bool aborted() const { return aborted_; }

 private:
  friend class Client;
  bool aborted_ = false;
  std::weak_ptr<Transport> transport_;
};

struct ClientRequest {
  std::string method = "GET";
  std::string target = "/";
  Headers headers;  // Host, Content-Length and Transfer-Encoding are set by the client
  std::string body;
  // Instead of `body`, where the text lives until the head of the answer has come: not copied.
  std::string_view body_view = {};
  TlsPeer tls = {};                   // with `tls.tls`: over TLS
  std::shared_ptr<Abort> abort = {};  // looked at until the head of the answer has come
  // A body in pieces (sent chunked, `body` is ignored): returns nullopt at the end. A request with
  // it is never repeated.
  std::function<Task<Result<BodyPiece>>()> body_stream = {};
};

struct ClientDeadlines {
  Duration connect = std::chrono::seconds(5);  // resolving, connecting, and TLS
  Duration head = std::chrono::seconds(60);    // from the end of the request to the answer's head
  Duration idle = std::chrono::seconds(60);    // sending the request without progress
};

// An answer whose head has come. Move-only; use it on the client's executor. Destroying it before
// its end closes the connection (so an engine learns that nobody waits any more); after the end
// the connection has gone back to the pool.
class ClientResponse {
 public:
  struct State;
  explicit ClientResponse(std::unique_ptr<State> state);
  ClientResponse(ClientResponse&&) noexcept;
  ClientResponse& operator=(ClientResponse&&) noexcept;
  ~ClientResponse();

  [[nodiscard]] int status() const;
  [[nodiscard]] const Headers& headers() const;

  // The next decoded piece of the body as it comes; nullopt at the end. The view lives until the
  // next read. timeout after `deadline` without a byte; unavailable when the peer breaks off;
  // cancelled after `abort`.
  Task<Result<BodyPiece>> read_some(Duration deadline);
  // The rest of the body; too_large above `limit`. `deadline` is for each wait.
  Task<Result<std::string>> read_all(Bytes limit, Duration deadline);
  // Closes the connection now; a waiting read fails with cancelled. Same executor only.
  void abort();

 private:
  std::unique_ptr<State> state_;
};

struct ClientOptions {
  std::size_t max_idle_per_endpoint = 64;                  // more are closed
  Duration idle_expiry = std::chrono::milliseconds(4000);  // below the 5 s of common engines
  Bytes head_limit = 64_KiB;                               // of an answer
};

// One per io_context (`Client::of`). Not thread-safe.
class Client {
 public:
  explicit Client(IoContext& context, ClientOptions options = {});
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // The client that belongs to `context`, made at first use with default options; it lives as long
  // as the context. In a handler: `Client::of(exchange.executor().context())`.
  static Client& of(IoContext& context);

  // Sends the request and awaits the head of the answer. Repeated once on a fresh connection only
  // where a kept connection proved stale (it failed at once, before any byte of an answer).
  // unavailable: refused, unknown host, or broken off; it names host and port. timeout: a deadline.
  // unauthenticated: one side refuses the other's certificate.
  Task<Result<ClientResponse>> send(Endpoint endpoint, ClientRequest request,
                                    ClientDeadlines deadlines = {});

  // `send`, then the whole body.
  Task<Result<Response>> fetch(Endpoint endpoint, ClientRequest request,
                               ClientDeadlines deadlines = {}, Bytes body_limit = 32_MiB);

  [[nodiscard]] std::size_t idle_connections() const;

  struct State;

 private:
  std::shared_ptr<State> state_;
};

// Whether a connection can be made; it is closed at once. Errors as those of `send`.
Task<Result<void>> try_connect(Endpoint endpoint, Duration limit);

// For code that blocks, such as commands: one request on a connection and an io_context of its own.
// Fails with cancelled once `stop` is requested before the answer's head has come.
Result<Response> fetch_blocking(Endpoint endpoint, ClientRequest request,
                                ClientDeadlines deadlines = {}, Bytes body_limit = 32_MiB,
                                const std::stop_token& stop = {});

// The same for a streamed answer: `on_head` sees status and headers, then `on_data` each piece as
// it comes; false from either ends the request early (not an error). `idle` is the longest wait for
// a piece.
Result<void> stream_blocking(Endpoint endpoint, ClientRequest request, ClientDeadlines deadlines,
                             Duration idle, std::function<bool(int, const Headers&)> on_head,
                             std::function<bool(std::string_view)> on_data);

}  // namespace berth::net
