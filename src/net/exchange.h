// Exchange: one request being answered, and the type of handlers.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "net/http.h"
#include "net/task.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace berth::net {

class ServerConnection;
class Transport;

// Lives while its handler runs. Not thread-safe: use it on its executor only. One call of
// `read_…` and one of the writing calls may be under way at a time.
//
// Either `respond` once, or `start`, `write`…, `finish`. An error of a writing call means that the
// client is gone or too slow; the connection is closed, and the handler just returns.
class Exchange {
 public:
  using Params = std::vector<std::pair<std::string, std::string>>;

  explicit Exchange(ServerConnection& connection) : connection_(connection) {}
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  [[nodiscard]] const Request& request() const;
  // The part of the path that `{name}` of the route's pattern matched, decoded; else empty.
  [[nodiscard]] std::string_view param(std::string_view name) const;
  [[nodiscard]] Executor executor() const;
  [[nodiscard]] bool responded() const;  // the head of an answer was sent, or tried
  [[nodiscard]] bool gone() const;       // the client is known to have left

  // The whole body. too_large above `limit` (413); timeout when the client stops sending;
  // cancelled when it leaves; invalid_request when the body is malformed.
  Task<Result<std::string>> read_body(Bytes limit);
  // As above with the server's default limit.
  Task<Result<std::string>> read_body();
  // The next piece of the body as it comes, decoded; nullopt at its end. The view lives until the
  // next read. No limit but what the caller counts.
  Task<Result<BodyPiece>> read_some();

  // Sends a whole answer. Content-Length, Date and x-request-id are added.
  Task<Result<void>> respond(Response response);
  // Sends the head of a streamed answer: chunked, unless `headers` has Content-Length.
  Task<Result<void>> start(int status, Headers headers);
  // Sends a piece at once (one chunk). Waits while the client reads slowly, at most as long as the
  // write deadline without progress. `data` must live until the call returns.
  Task<Result<void>> write(std::string_view data);
  // Ends a streamed answer.
  Task<Result<void>> finish();

  // Sends 101 with `protocol`, which the request must have asked for, and gives the connection
  // away: it is the caller's to read and write, and closes when the handler returns.
  // invalid_request where the request asks for something else.
  Task<Result<std::shared_ptr<Transport>>> upgrade(std::string protocol);

  // Completes when the client has closed its connection; never before. Bytes of a next request that
  // come meanwhile are kept. For `unless_gone`, or as the other half of a race.
  Task<> client_gone();
  // Calls `callback` on this executor, once, when the client has gone while the handler still runs;
  // cheaper than a race per piece in a long relay. An empty function takes it back.
  void on_client_gone(std::function<void()> callback);

  // Awaits `work`, which is cancelled when the client leaves: then fails with cancelled.
  template <class T>
  Task<Result<T>> unless_gone(Task<Result<T>> work) {
    return unless(std::move(work), client_gone(),
                  make_error(ErrorCode::cancelled, "the client closed the connection"));
  }

  [[nodiscard]] const Params& params() const { return params_; }
  void set_params(Params params) { params_ = std::move(params); }  // for routers

 private:
  ServerConnection& connection_;
  Params params_;
};

// Answers one request. It may throw: that is logged and answered with 500. A handler that is a
// member function is wrapped in a plain lambda: `[this](Exchange& x) { return chat(x); }`.
using Handler = std::function<Task<void>(Exchange&)>;

}  // namespace berth::net
