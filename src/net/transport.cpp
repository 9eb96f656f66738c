#include "net/transport.h"

#include <algorithm>
#include <vector>

#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>

namespace berth::net {
namespace {

using boost::system::error_code;

constexpr std::size_t kBlockSize = 64 * 1024;
constexpr std::size_t kBlocksKept = 4;  // a thread
// A watch stops where so much of a next request has come: memory stays bounded.
constexpr std::size_t kWatchedInput = 64 * 1024;
// Errors are made outside of the coroutines, whose frames live as long as a stream is held.
[[gnu::noinline]] Error read_error(bool expired, Duration limit) {
  if (expired) return make_error(ErrorCode::timeout, "no byte came in {} ms", limit.count());
  return make_error(ErrorCode::cancelled, "reading was cancelled");
}

bool is_empty(const Transport::Pieces& pieces) {
  return std::all_of(pieces.begin(), pieces.end(), [](auto piece) { return piece.empty(); });
}

void take_off(Transport::Pieces& pieces, std::size_t count) {
  for (auto& piece : pieces) {
    const std::size_t part = std::min(count, piece.size());
    piece.remove_prefix(part);
    count -= part;
  }
}

constexpr SteadyTime kNever = SteadyTime::max();

using Block = std::unique_ptr<char[]>;

// The thread's blocks that no connection holds: one is enough, but for input that is looked at
// while another connection receives.
std::vector<Block>& free_blocks() {
  thread_local std::vector<Block> blocks;
  return blocks;
}

Block take_block() {
  auto& blocks = free_blocks();
  if (blocks.empty()) return Block(new char[kBlockSize]);
  Block block = std::move(blocks.back());
  blocks.pop_back();
  return block;
}

void give_block(Block block) {
  auto& blocks = free_blocks();
  if (blocks.size() < kBlocksKept) blocks.push_back(std::move(block));
}

}  // namespace

struct Deadline::State {
  State(Executor executor, std::function<void()> function)
      : timer(executor), on_expiry(std::move(function)) {}
  Timer timer;
  std::function<void()> on_expiry;
  SteadyTime at = kNever;
  SteadyTime armed = kNever;  // when the timer will fire
  std::uint64_t generation = 0;
  bool expired = false;
};

Deadline::Deadline(Executor executor, std::function<void()> on_expiry)
    : executor_(executor), on_expiry_(std::move(on_expiry)) {}

Deadline::~Deadline() {
  if (!state_) return;
  state_->on_expiry = nullptr;
  state_->at = kNever;
  state_->timer.cancel();
}

void Deadline::set(Duration from_now) {
  if (!state_) state_ = std::make_shared<State>(executor_, std::move(on_expiry_));
  state_->expired = false;
  state_->at = std::chrono::steady_clock::now() + from_now;
  if (state_->at < state_->armed) arm(state_);
}

void Deadline::clear() {
  if (state_) state_->at = kNever;
}

bool Deadline::expired() const { return state_ && state_->expired; }

void Deadline::arm(const std::shared_ptr<State>& state) {
  state->armed = state->at;
  const std::uint64_t generation = ++state->generation;
  state->timer.expires_at(state->armed);
  state->timer.async_wait([state, generation](const error_code& error) {
    if (error || generation != state->generation) return;
    state->armed = kNever;
    if (state->at == kNever) return;
    if (state->at > std::chrono::steady_clock::now()) {
      arm(state);
      return;
    }
    state->at = kNever;
    state->expired = true;
    if (state->on_expiry) state->on_expiry();
  });
}

Transport::Transport(Socket socket, TlsPeer peer, TlsSession::Role role)
    : socket_(std::move(socket)),
      read_deadline_(socket_.get_executor(),
                     [this] {
                       error_code ignored;
                       socket_.cancel(ignored);
                     }),
      write_deadline_(socket_.get_executor(), [this] {
        error_code ignored;
        socket_.cancel(ignored);
      }) {
  error_code ignored;
  socket_.non_blocking(true, ignored);
  socket_.set_option(boost::asio::ip::tcp::no_delay(true), ignored);
  if (peer.tls) {
    tls_ = std::make_unique<TlsSession>(std::move(peer), socket_.native_handle(), role);
  }
}

Task<Result<void>> Transport::handshake(Duration limit) {
  const SteadyTime until = std::chrono::steady_clock::now() + limit;
  while (tls_) {
    Error error;
    const auto step = tls_->handshake(error);
    if (step == TlsSession::Handshake::done) break;
    if (step == TlsSession::Handshake::failed) co_return fail(std::move(error));
    const auto left = until - std::chrono::steady_clock::now();
    read_deadline_.set(std::max(std::chrono::duration_cast<Duration>(left), Duration::zero()));
    const auto kind =
        step == TlsSession::Handshake::wants_read ? Socket::wait_read : Socket::wait_write;
    const auto [waited] = co_await socket_.async_wait(kind, use_task);
    read_deadline_.clear();
    if (waited && read_deadline_.expired()) {
      co_return fail(ErrorCode::timeout, "the TLS handshake did not end in {} ms", limit.count());
    }
    if (waited) co_return fail(ErrorCode::cancelled, "the connection was closed");
  }
  co_return Result<void>{};
}

std::shared_ptr<const PeerCertificate> Transport::peer_certificate() const {
  return tls_ ? tls_->peer_certificate() : nullptr;
}

std::string_view Transport::input() const {
  if (block_) return std::string_view(block_.get(), end_).substr(begin_);
  return std::string_view(buffer_).substr(begin_);
}

void Transport::consume(std::size_t count) {
  begin_ += count;
  if (begin_ < (block_ ? end_ : buffer_.size())) return;
  begin_ = 0;
  buffer_.clear();
  if (block_) give_block(std::move(block_));
}

// Moves what is left of a block into a buffer of its own size.
void Transport::settle() {
  if (block_) {
    buffer_.assign(input());
    give_block(std::move(block_));
  } else if (begin_ > 0) {
    buffer_.erase(0, begin_);
  }
  begin_ = 0;
}

std::size_t Transport::receive_into(char* data, std::size_t size, error_code& error) {
  if (tls_) return tls_->read(data, size, error);
  return socket_.receive(boost::asio::buffer(data, size), 0, error);
}

// Whether a byte could be received, which stays where it is.
bool Transport::peek(error_code& error) {
  if (!tls_) {
    char byte = 0;
    return socket_.receive(boost::asio::buffer(&byte, 1), Socket::message_peek, error) > 0;
  }
  // What is looked at is taken out of the socket, which will not become readable for it again.
  const bool some = tls_->peek(error);
  if (some) more_at_once_ = true;
  return some;
}

Error Transport::broken_error() const {
  if (tls_ && !tls_->refusal().empty()) {
    return make_error(ErrorCode::unauthenticated, "{}", tls_->refusal());
  }
  return make_error(ErrorCode::unavailable, "the connection was reset");
}

Transport::Received Transport::receive() {
  error_code error;
  Block block = take_block();
  const std::size_t count = receive_into(block.get(), kBlockSize, error);
  // The end of TLS may be in what was read already.
  more_at_once_ = !error && (count == kBlockSize || (tls_ && tls_->has_ended()));
  if (error || count == 0) {
    give_block(std::move(block));
    if (error == boost::asio::error::would_block || error == boost::asio::error::interrupted) {
      return Received::nothing;
    }
    peer_closed_ = true;
    return error && error != boost::asio::error::eof ? Received::broken : Received::closed;
  }
  received_ += count;
  settle();
  if (buffer_.empty()) {
    block_ = std::move(block);
    end_ = count;
  } else {
    buffer_.append(block.get(), count);
    give_block(std::move(block));
  }
  return Received::some;
}

Task<Result<std::size_t>> Transport::read_more(Duration limit) {
  const std::uint64_t before = received_;
  bool ready = more_at_once_;
  for (;;) {
    if (received_ != before) co_return static_cast<std::size_t>(received_ - before);
    if (!socket_.is_open()) co_return fail(ErrorCode::cancelled, "the connection was closed");
    if (ready) {
      const Received received = receive();
      if (received == Received::closed) co_return std::size_t{0};
      if (received == Received::broken) co_return fail(broken_error());
      if (received == Received::some) continue;
    }
    settle();
    if (buffer_.empty()) std::string().swap(buffer_);  // hold nothing while it idles
    read_deadline_.set(limit);
    const auto [error] = co_await socket_.async_wait(Socket::wait_read, use_task);
    read_deadline_.clear();
    if (error && received_ == before) {
      co_return fail(read_error(read_deadline_.expired(), limit));
    }
    ready = true;
  }
}

// Sends a record of what the pieces begin with: small ones together.
std::size_t Transport::send_record(const Pieces& pieces, error_code& error) {
  const auto first = std::ranges::find_if(pieces, [](auto piece) { return !piece.empty(); });
  if (first == pieces.end()) return 0;
  if (first->size() >= TlsSession::kRecord) {
    return tls_->write(first->data(), TlsSession::kRecord, error);
  }
  Block block = take_block();
  std::size_t size = 0;
  for (const auto& piece : pieces) {
    size += piece.copy(block.get() + size, TlsSession::kRecord - size);
  }
  const std::size_t sent = tls_->write(block.get(), size, error);
  give_block(std::move(block));
  return sent;
}

error_code Transport::send_some(Pieces& pieces) {
  error_code error;
  std::size_t sent = 0;
  if (tls_) {
    sent = send_record(pieces, error);
    take_off(pieces, sent);
    return error;
  }
  std::array<boost::asio::const_buffer, std::tuple_size_v<Pieces>> buffers;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    buffers[i] = boost::asio::buffer(pieces[i].data(), pieces[i].size());
  }
  sent = socket_.send(buffers, 0, error);
  take_off(pieces, sent);
  return error;
}

bool Transport::write_now(Pieces& pieces) {
  return socket_.is_open() && !send_some(pieces) && is_empty(pieces);
}

Task<Result<void>> Transport::write(Pieces pieces, Duration limit) {
  for (;;) {
    if (is_empty(pieces)) co_return Result<void>{};
    if (!socket_.is_open()) co_return fail(ErrorCode::cancelled, "the connection was closed");
    const error_code error = send_some(pieces);
    if (!error) continue;
    if (error != boost::asio::error::would_block && error != boost::asio::error::interrupted) {
      co_return fail(ErrorCode::cancelled, "the peer closed the connection ({})", error.message());
    }
    write_deadline_.set(limit);
    const auto [waited] = co_await socket_.async_wait(Socket::wait_write, use_task);
    write_deadline_.clear();
    if (waited) {
      if (write_deadline_.expired()) {
        co_return fail(ErrorCode::timeout, "the peer took no byte in {} ms", limit.count());
      }
      co_return fail(ErrorCode::cancelled, "writing was cancelled");
    }
  }
}

void Transport::watch(std::function<void()> on_gone) {
  on_gone_ = std::move(on_gone);
  arm_watch();
}

void Transport::hold_input(bool hold) {
  hold_ = hold;
  if (!hold) arm_watch();
}

void Transport::arm_watch() {
  if (!on_gone_ || watch_waits_ || !socket_.is_open() || input().size() >= kWatchedInput) return;
  watch_waits_ = true;
  auto look = [weak = weak_from_this()](const error_code& error) {
    const auto self = weak.lock();
    if (!self) return;
    self->watch_waits_ = false;
    if (!error) self->on_watch();
  };
  if (tls_ && more_at_once_) {
    boost::asio::post(executor(), [look] { look(error_code()); });
  } else {
    socket_.async_wait(Socket::wait_read, std::move(look));
  }
}

void Transport::on_watch() {
  if (!on_gone_) return;
  if (hold_) {
    error_code error;
    const bool some = peek(error);
    if (error == boost::asio::error::would_block) return arm_watch();
    if (some) return;  // looked at again when the input is free
    peer_closed_ = true;
  } else if (!peer_closed_) {
    const Received received = receive();
    if (received == Received::some || received == Received::nothing) return arm_watch();
  }
  const auto on_gone = std::exchange(on_gone_, nullptr);
  on_gone();
}

bool Transport::is_quiet() {
  if (!socket_.is_open() || peer_closed_ || !input().empty()) return false;
  error_code error;
  peek(error);
  return error == boost::asio::error::would_block;
}

void Transport::shutdown_send() {
  if (tls_) tls_->end_sending();
  error_code ignored;
  socket_.shutdown(Socket::shutdown_send, ignored);
}

void Transport::close() {
  read_deadline_.clear();
  write_deadline_.clear();
  if (tls_ && socket_.is_open()) tls_->end_sending();
  error_code ignored;
  socket_.close(ignored);
}

}  // namespace berth::net
