#include "net/server_connection.h"

#include "base/ids.h"
#include "net/message_writer.h"

#include <algorithm>
#include <charconv>

#include <boost/asio/post.hpp>
#include <spdlog/spdlog.h>

namespace berth::net {
namespace {

constexpr Duration kLinger = std::chrono::seconds(2);
// A body that the handler left unread is read away up to here, to keep the connection.
constexpr std::size_t kDrained = 256 * 1024;

bool is_sane_id(std::string_view id) {
  return !id.empty() && id.size() <= 128 &&
         std::ranges::all_of(id, [](char c) { return c > ' ' && c < 0x7f; });
}

// Unique, and no secret: a random start for each thread, and a count.
std::string next_request_id() {
  thread_local const std::string start = random_id(12);
  thread_local std::uint64_t count = 0;
  return fmt::format("{}{:08x}", start, ++count);
}

std::string peer_of(const Socket& socket) {
  boost::system::error_code error;
  const auto endpoint = socket.remote_endpoint(error);
  if (error) return "?";
  return to_string(Endpoint{endpoint.address().to_string(), endpoint.port()});
}

int status_of_parse_error(const Error& error, bool in_head) {
  return error.code == ErrorCode::too_large && in_head ? 431 : http_status(error.code);
}

}  // namespace

ServerConnection::ServerConnection(Socket socket, std::shared_ptr<const ServerShared> shared)
    : shared_(std::move(shared)), peer_(peer_of(socket)) {
  TlsPeer tls;
  if (shared_->options.tls) tls.tls = shared_->options.tls();
  transport_ =
      std::make_shared<Transport>(std::move(socket), std::move(tls), TlsSession::Role::server);
}

Task<> ServerConnection::run() {
  if (shared_->options.tls && !transport_->is_tls()) {
    spdlog::error("a connection was closed: the server does not know who it is");
    transport_->close();
    co_return;
  }
  const auto greeted = co_await transport_->handshake(shared_->options.deadlines.handshake);
  if (!greeted) {
    spdlog::debug("{}: {}", peer_, greeted.error().to_string());
    transport_->close();
    co_return;
  }
  for (;;) {
    begin_request();
    const bool has_request = co_await read_head();
    if (!has_request) break;
    co_await serve();
    if (!keep_alive_ || gone_ || shared_->stopping) break;
    const bool clean = co_await drain_body();
    if (!clean) break;
  }
  if (head_sent_ && !body_ended_ && !gone_) co_await linger();
  transport_->close();
}

Task<> ServerConnection::refuse() {
  if (shared_->options.tls) {  // words would cost a handshake
    transport_->close();
    co_return;
  }
  begin_request();
  Response response = error_response(make_error(
      ErrorCode::unavailable, "the server has all the connections it allows ({}); try again later",
      shared_->options.max_connections));
  keep_alive_ = false;
  co_await respond(std::move(response));
  co_await linger();
  transport_->close();
}

void ServerConnection::close_if_idle() {
  if (idle_) transport_->close();
}

void ServerConnection::begin_request() {
  parser_ = std::make_unique<RequestParser>(shared_->options.head_limit);
  request_ = std::make_unique<Request>();
  status_ = 0;
  held_ = 0;
  head_read_ = body_ended_ = body_broken_ = continue_due_ = false;
  head_sent_ = finished_ = chunked_ = bodiless_ = false;
  length_left_.reset();
  on_gone_ = nullptr;
}

Task<bool> ServerConnection::read_head() {
  const auto& deadlines = shared_->options.deadlines;
  idle_ = transport_->input().empty();
  started_ = std::chrono::steady_clock::now();
  Error error;
  bool failed = false;
  for (;;) {
    if (!transport_->input().empty()) {
      auto step = parser_->advance(transport_->input());
      if (!step) {
        error = std::move(step).error();
        failed = true;
        break;
      }
      transport_->consume(step->consumed);
      if (step->kind == ParseStep::Kind::head) break;
    }
    const Duration waited =
        std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now() - started_);
    const Duration limit =
        idle_ ? deadlines.idle : std::max(deadlines.head - waited, Duration::zero());
    const auto read = co_await transport_->read_more(limit);
    if (!read && read.error().code == ErrorCode::timeout && !idle_) {
      error = make_error(ErrorCode::timeout, "the head of the request did not come within {} ms",
                         deadlines.head.count());
      failed = true;
      break;
    }
    if (!read || *read == 0) co_return false;
    if (idle_) started_ = std::chrono::steady_clock::now();
    idle_ = false;
  }
  idle_ = false;
  continue_due_ = !failed && parser_->expects_continue();
  *request_ = std::move(parser_->request());
  request_->peer = peer_;
  request_->certificate = transport_->peer_certificate();
  const auto id = request_->headers.get("x-request-id");
  request_->id = id && is_sane_id(*id) ? std::string(*id) : next_request_id();
  if (!failed) {
    head_read_ = true;
    keep_alive_ = parser_->keep_alive();
    body_ended_ = parser_->done();
    co_return true;
  }
  keep_alive_ = false;
  const int status = error.code == ErrorCode::timeout ? 408 : status_of_parse_error(error, true);
  co_await respond(error_response(status, error));
  if (shared_->options.on_done) shared_->options.on_done(*request_, status_, Duration::zero());
  co_return false;
}

Task<> ServerConnection::serve() {
  std::exception_ptr thrown;
  try {
    co_await answer();
  } catch (...) {
    thrown = std::current_exception();  // the server cancels what did not end in time
    keep_alive_ = false;
  }
  on_gone_ = nullptr;
  transport_->watch(nullptr);
  transport_->hold_input(false);
  if (!finished_) keep_alive_ = false;
  if (shared_->options.on_done) {
    const int status = gone_ && !finished_ ? 499 : status_;
    shared_->options.on_done(
        *request_, status,
        std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now() - started_));
  }
  if (thrown) std::rethrow_exception(thrown);
}

Task<> ServerConnection::answer() {
  std::string what;
  {
    Exchange exchange(*this);
    try {
      co_await shared_->handler(exchange);
    } catch (const std::exception& e) {
      what = e.what();
    }
  }
  const auto state = co_await boost::asio::this_coro::cancellation_state;
  const bool cancelled = state.cancelled() != boost::asio::cancellation_type::none;
  if (!what.empty() && !cancelled) {
    spdlog::error("{} {} threw: {} (request {})", request_->method, request_->path, what,
                  request_->id);
  }
  if (head_sent_ || gone_ || cancelled) co_return;
  if (what.empty()) {
    spdlog::error("{} {} was not answered by its handler (request {})", request_->method,
                  request_->path, request_->id);
  }
  auto error =
      make_error(ErrorCode::internal,
                 "the server failed to answer; its log says why, by request id {}", request_->id);
  if (cancelled) error = make_error(ErrorCode::unavailable, "the server is stopping");
  co_await respond(error_response(error));
}

Task<bool> ServerConnection::drain_body() {
  std::size_t drained = 0;
  while (!body_ended_) {
    if (body_broken_ || continue_due_ || drained > kDrained) co_return false;
    const auto piece = co_await read_some();
    if (!piece) co_return false;
    if (*piece) drained += (*piece)->size();
  }
  transport_->consume(held_);
  held_ = 0;
  co_return true;
}

// Closing while bytes come would reset the connection, and the client might lose the answer.
Task<> ServerConnection::linger() {
  transport_->shutdown_send();
  const SteadyTime until = std::chrono::steady_clock::now() + kLinger;
  for (;;) {
    transport_->consume(transport_->input().size());
    const auto left =
        std::chrono::duration_cast<Duration>(until - std::chrono::steady_clock::now());
    if (left <= Duration::zero()) co_return;
    const auto read = co_await transport_->read_more(left);
    if (!read || *read == 0) co_return;
  }
}

Task<Result<void>> ServerConnection::send_continue() {
  continue_due_ = false;
  if (head_sent_) co_return Result<void>{};
  co_return co_await send({"HTTP/1.1 100 Continue\r\n\r\n", "", ""});
}

std::optional<Result<BodyPiece>> ServerConnection::ready_piece() {
  transport_->consume(std::exchange(held_, 0));
  transport_->hold_input(false);
  if (body_ended_) return BodyPiece();
  if (body_broken_) return fail(ErrorCode::cancelled, "the body can not be read on");
  // A client that sends its body at once does not wait to be told so.
  if (!transport_->input().empty()) continue_due_ = false;
  auto step = parser_->advance(transport_->input());
  if (!step) {
    body_broken_ = true;
    keep_alive_ = false;
    return fail(std::move(step).error());
  }
  if (step->kind == ParseStep::Kind::body) {
    held_ = step->consumed;
    transport_->hold_input(true);
    return BodyPiece(step->body);
  }
  transport_->consume(step->consumed);
  if (step->kind == ParseStep::Kind::need_more) return std::nullopt;
  body_ended_ = true;
  return BodyPiece();
}

Task<Result<BodyPiece>> ServerConnection::read_some() {
  for (;;) {
    if (auto ready = ready_piece()) co_return *std::move(ready);
    if (continue_due_) {
      const auto sent = co_await send_continue();
      BERTH_CO_CHECK(sent);
    }
    auto read = co_await transport_->read_more(shared_->options.deadlines.body);
    if (read && *read > 0) continue;
    body_broken_ = true;
    keep_alive_ = false;
    if (read || read.error().code != ErrorCode::timeout) {
      set_gone();
      co_return fail(ErrorCode::cancelled, "the client left in the middle of the body");
    }
    co_return fail(std::move(read).error().context("the body of the request did not come"));
  }
}

Task<Result<std::string>> ServerConnection::read_body(Bytes limit) {
  const auto too_large = [limit] {
    return fail(ErrorCode::too_large, "the body is larger than the limit of {}", limit);
  };
  const std::uint64_t announced = parser_->content_length();
  if (announced > limit.count) co_return too_large();
  std::string body;
  // A little more than its size: parsers read beyond the end.
  body.reserve(std::min<std::uint64_t>(announced, 1U << 20U) + 64);
  for (;;) {
    auto piece = ready_piece();
    if (!piece) piece = co_await read_some();
    BERTH_CO_TRY(const auto bytes, *std::move(piece));
    if (!bytes) co_return body;
    if (body.size() + bytes->size() > limit.count) co_return too_large();
    body += *bytes;
  }
}

std::string ServerConnection::make_head(int status, Headers& headers) {
  status_ = status;
  bodiless_ = request_->method == "HEAD" || status == 204 || status == 304 || status < 200;
  headers.erase("connection");
  // A body that was announced but not asked for may come or not: what follows is ambiguous.
  if (shared_->stopping || continue_due_ || parser_->is_http_1_0()) keep_alive_ = false;
  if (!keep_alive_) headers.set("Connection", "close");
  headers.set("x-request-id", request_->id.empty() ? next_request_id() : request_->id);
  return response_head(status, headers);
}

Task<Result<void>> ServerConnection::send(Transport::Pieces pieces) {
  auto sent = co_await transport_->write(pieces, shared_->options.deadlines.write);
  if (!sent) {
    keep_alive_ = false;
    if (sent.error().code == ErrorCode::cancelled) set_gone();
    transport_->close();
  }
  co_return sent;
}

Task<Result<void>> ServerConnection::respond(Response response) {
  if (head_sent_) co_return fail(ErrorCode::internal, "the request was answered already");
  head_sent_ = true;
  response.headers.erase("transfer-encoding");
  if (response.status != 204 && response.status != 304) {
    response.headers.set("Content-Length", std::to_string(response.body.size()));
  }
  const std::string head = make_head(response.status, response.headers);
  const std::string_view body = bodiless_ ? std::string_view() : response.body;
  Transport::Pieces pieces{head, body, ""};
  Result<void> sent;
  if (!transport_->write_now(pieces)) sent = co_await send(pieces);
  finished_ = sent.has_value();
  co_return sent;
}

Task<Result<void>> ServerConnection::start(int status, Headers headers) {
  if (head_sent_) co_return fail(ErrorCode::internal, "the request was answered already");
  head_sent_ = true;
  headers.erase("transfer-encoding");
  if (const auto given = headers.get("content-length")) {
    std::uint64_t length = 0;
    const auto [end, error] = std::from_chars(given->data(), given->data() + given->size(), length);
    if (error != std::errc() || end != given->data() + given->size()) {
      keep_alive_ = false;
      co_return fail(ErrorCode::internal, "Content-Length \"{}\" is no number", *given);
    }
    length_left_ = length;
  } else if (parser_->is_http_1_0()) {
    keep_alive_ = false;  // the end of the connection is the end of the body
  } else if (status != 204 && status != 304) {
    chunked_ = true;
    headers.set("Transfer-Encoding", "chunked");
  }
  const std::string head = make_head(status, headers);
  co_return co_await send({head, "", ""});
}

Task<Result<void>> ServerConnection::write(std::string_view data) {
  if (!head_sent_ || finished_) co_return fail(ErrorCode::internal, "no answer is under way");
  if (gone_) co_return fail(ErrorCode::cancelled, "the client closed the connection");
  if (data.empty() || bodiless_) co_return Result<void>{};
  if (length_left_) {
    if (data.size() > *length_left_) {
      keep_alive_ = false;
      co_return fail(ErrorCode::internal, "more was written than Content-Length says");
    }
    *length_left_ -= data.size();
  }
  const std::string head = chunked_ ? chunk_head(data.size()) : std::string();
  Transport::Pieces pieces{head, data, chunked_ ? kChunkEnd : std::string_view()};
  // Mostly the kernel takes it all: no further frame is made then.
  if (transport_->write_now(pieces)) co_return Result<void>{};
  co_return co_await send(pieces);
}

Task<Result<void>> ServerConnection::finish() {
  if (!head_sent_ || finished_) co_return fail(ErrorCode::internal, "no answer is under way");
  if (length_left_.value_or(0) > 0 && !bodiless_) {
    keep_alive_ = false;
    co_return fail(ErrorCode::internal, "less was written than Content-Length says");
  }
  if (chunked_ && !bodiless_) {
    const auto sent = co_await send({kLastChunk, "", ""});
    BERTH_CO_CHECK(sent);
  }
  finished_ = true;
  co_return Result<void>{};
}

Task<Result<std::shared_ptr<Transport>>> ServerConnection::upgrade(std::string protocol) {
  if (head_sent_) co_return fail(ErrorCode::internal, "the request was answered already");
  const auto wanted = request_->headers.get("upgrade");
  if (!wanted || *wanted != protocol || !body_ended_) {
    co_return fail(ErrorCode::invalid_request,
                   "this path is for the protocol {}: ask for it with Upgrade", protocol);
  }
  head_sent_ = true;
  keep_alive_ = false;
  status_ = 101;
  const std::string head = fmt::format(
      "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {}\r\n\r\n", protocol);
  const auto sent = co_await send({head, "", ""});
  BERTH_CO_CHECK(sent);
  finished_ = true;
  co_return transport_;
}

void ServerConnection::set_gone() {
  if (gone_) return;
  gone_ = true;
  for (Timer* timer : gone_waiters_) timer->cancel();
  if (on_gone_) post_on_gone();
}

// The callback may be taken back between now and its turn.
void ServerConnection::post_on_gone() {
  boost::asio::post(executor(), [weak = std::weak_ptr(on_gone_)] {
    if (const auto callback = weak.lock()) (*callback)();
  });
}

Task<> ServerConnection::client_gone() {
  if (gone_ || !transport_->is_open()) co_return;
  Timer timer(executor(), SteadyTime::max());
  gone_waiters_.push_back(&timer);
  transport_->watch([this] { set_gone(); });
  try {
    co_await timer.async_wait(use_task);
  } catch (...) {
    std::erase(gone_waiters_, &timer);
    throw;
  }
  std::erase(gone_waiters_, &timer);
}

void ServerConnection::on_client_gone(std::function<void()> callback) {
  on_gone_ = callback ? std::make_shared<std::function<void()>>(std::move(callback)) : nullptr;
  if (!on_gone_) return;
  if (gone_) {
    post_on_gone();
  } else {
    transport_->watch([this] { set_gone(); });
  }
}

}  // namespace berth::net
