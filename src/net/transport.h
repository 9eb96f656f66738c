// Transport: a TCP connection, plain or TLS, with an input buffer that exists only while it holds
// something, and deadlines that cost no timer operation when they move. Internal to net.
#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "net/task.h"
#include "net/tls_session.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/ip/tcp.hpp>

namespace berth::net {

using Socket = boost::asio::basic_stream_socket<boost::asio::ip::tcp, Executor>;
using Timer = boost::asio::basic_waitable_timer<
    std::chrono::steady_clock, boost::asio::wait_traits<std::chrono::steady_clock>, Executor>;

// Calls a function when a moment passes. Moving it later, or clearing it, touches no timer: the
// timer looks again when it fires.
class Deadline {
 public:
  Deadline(Executor executor, std::function<void()> on_expiry);
  ~Deadline();
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

  void set(Duration from_now);
  void clear();
  [[nodiscard]] bool expired() const;

 private:
  struct State;
  static void arm(const std::shared_ptr<State>& state);

  Executor executor_;
  std::function<void()> on_expiry_;
  std::shared_ptr<State> state_;  // made when it is first set
};

// Used on one executor only. At most one read and one write may be under way at a time.
class Transport : public std::enable_shared_from_this<Transport> {
 public:
  using Pieces = std::array<std::string_view, 3>;

  // Makes the socket non-blocking, without Nagle's delay. With `peer.tls`, nothing else may be
  // called before `handshake` has succeeded.
  explicit Transport(Socket socket, TlsPeer peer = {},
                     TlsSession::Role role = TlsSession::Role::client);
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  // Does nothing where the connection is plain. timeout after `limit`; unauthenticated where one
  // side refuses the other's certificate; unavailable when the connection broke.
  Task<Result<void>> handshake(Duration limit);
  [[nodiscard]] bool is_tls() const { return tls_ != nullptr; }
  // Of a TLS peer; null where it showed none.
  [[nodiscard]] std::shared_ptr<const PeerCertificate> peer_certificate() const;

  // Bytes received and not yet consumed. The view lives until the next read.
  [[nodiscard]] std::string_view input() const;
  void consume(std::size_t count);

  // Waits until bytes come and appends them to the input; 0: the peer closed. timeout after
  // `limit`; cancelled when closed here meanwhile; unavailable when the connection broke.
  Task<Result<std::size_t>> read_more(Duration limit);
  // Sends what the kernel takes at once and takes it off `pieces`; true where nothing is left. An
  // error is left to the next `write`.
  bool write_now(Pieces& pieces);
  // Sends all of `pieces`, which must live until the end. timeout after `limit` without progress;
  // cancelled when the peer is gone.
  Task<Result<void>> write(Pieces pieces, Duration limit);

  // Calls `on_gone` once when the peer has closed. Bytes that come first are kept as input. An
  // empty function ends the watch. While `hold_input`, bytes stay in the kernel (a view is in use).
  void watch(std::function<void()> on_gone);
  void hold_input(bool hold);

  [[nodiscard]] bool peer_closed() const { return peer_closed_; }
  // True where a kept connection is still good: nothing to read, not closed.
  [[nodiscard]] bool is_quiet();
  void shutdown_send();
  void close();
  [[nodiscard]] bool is_open() const { return socket_.is_open(); }
  [[nodiscard]] Executor executor() { return socket_.get_executor(); }

 private:
  enum class Received { some, nothing, closed, broken };
  Received receive();
  void settle();
  std::size_t receive_into(char* data, std::size_t size, boost::system::error_code& error);
  bool peek(boost::system::error_code& error);
  boost::system::error_code send_some(Pieces& pieces);
  std::size_t send_record(const Pieces& pieces, boost::system::error_code& error);
  [[nodiscard]] Error broken_error() const;
  void arm_watch();
  void on_watch();

  Socket socket_;
  std::unique_ptr<TlsSession> tls_;  // null: plain
  Deadline read_deadline_;
  Deadline write_deadline_;
  // The input: in a block of the thread's right after receiving, in a buffer of its own size where
  // it has to wait.
  std::unique_ptr<char[]> block_;
  std::size_t end_ = 0;  // of the input inside `block_`
  std::string buffer_;
  std::size_t begin_ = 0;       // of the input inside `block_` or `buffer_`
  std::uint64_t received_ = 0;  // bytes ever
  bool more_at_once_ = false;   // more may be here: try again before waiting
  bool peer_closed_ = false;
  bool hold_ = false;
  bool watch_waits_ = false;
  std::function<void()> on_gone_;
};

}  // namespace berth::net
