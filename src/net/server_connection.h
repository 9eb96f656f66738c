// ServerConnection: the requests of one connection, one after the other. Internal to net.
#pragma once

#include "net/message_parser.h"
#include "net/server.h"
#include "net/transport.h"

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace berth::net {

// What the connections of a server share. Read-only but for `stopping`.
struct ServerShared {
  ServerOptions options;
  Handler handler;
  std::atomic<bool> stopping = false;
};

// Used on the executor of its socket only.
class ServerConnection {
 public:
  ServerConnection(Socket socket, std::shared_ptr<const ServerShared> shared);
  ServerConnection(const ServerConnection&) = delete;
  ServerConnection& operator=(const ServerConnection&) = delete;

  // Serves until the connection ends. The caller keeps this alive meanwhile.
  Task<> run();
  // Instead of `run`: answers 503 and closes.
  Task<> refuse();
  // Closes at once where no request is under way.
  void close_if_idle();
  void close() { transport_->close(); }

  // For Exchange.
  [[nodiscard]] const Request& request() const { return *request_; }
  [[nodiscard]] Executor executor() const { return transport_->executor(); }
  [[nodiscard]] bool responded() const { return head_sent_; }
  [[nodiscard]] bool gone() const { return gone_; }
  [[nodiscard]] Bytes body_limit() const { return shared_->options.body_limit; }
  Task<Result<std::string>> read_body(Bytes limit);
  Task<Result<BodyPiece>> read_some();
  Task<Result<void>> respond(Response response);
  Task<Result<void>> start(int status, Headers headers);
  Task<Result<void>> write(std::string_view data);
  Task<Result<void>> finish();
  Task<Result<std::shared_ptr<Transport>>> upgrade(std::string protocol);
  Task<> client_gone();
  void on_client_gone(std::function<void()> callback);

 private:
  Task<bool> read_head();
  Task<> serve();
  Task<> answer();
  Task<bool> drain_body();
  Task<> linger();
  Task<Result<void>> send_continue();
  // The next piece of the body, or its end, where the bytes for it are here already.
  std::optional<Result<BodyPiece>> ready_piece();
  Task<Result<void>> send(Transport::Pieces pieces);
  // The head with what the connection adds to it.
  std::string make_head(int status, Headers& headers);
  void begin_request();
  void set_gone();
  void post_on_gone();

  std::shared_ptr<const ServerShared> shared_;
  std::shared_ptr<Transport> transport_;
  std::string peer_;

  // The request under way.
  std::unique_ptr<RequestParser> parser_;
  std::unique_ptr<Request> request_;
  SteadyTime started_;
  std::size_t held_ = 0;  // bytes of the input that the last piece of the body occupies
  int status_ = 0;
  bool idle_ = true;  // waiting for the first byte of a request
  bool head_read_ = false;
  bool body_ended_ = false;    // the request's body was read to its end
  bool body_broken_ = false;   // and can not be read on
  bool continue_due_ = false;  // the client waits for "100 Continue"
  bool keep_alive_ = true;
  bool head_sent_ = false;
  bool finished_ = false;
  bool chunked_ = false;
  bool bodiless_ = false;  // HEAD, 204, 304
  std::optional<std::uint64_t> length_left_;
  bool gone_ = false;
  std::shared_ptr<std::function<void()>> on_gone_;  // shared with the call that is on its way
  std::vector<Timer*> gone_waiters_;
};

}  // namespace berth::net
