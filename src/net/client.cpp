#include "net/client.h"

#include "net/client_connection.h"
#include "net/message_writer.h"

namespace berth::net {
namespace {

// A kept connection that the peer closed fails at once; one that fails later died of the request,
// which must not be sent again.
constexpr Duration kStaleWindow = std::chrono::seconds(1);

using StatePtr = std::unique_ptr<ClientResponse::State>;

// How an attempt failed.
struct Failure {
  Error error;
  bool stale = false;  // before any byte of an answer, by a connection that broke
};

Error at(const Endpoint& endpoint, Error error) {
  if (error.code == ErrorCode::cancelled) error.code = ErrorCode::unavailable;
  return std::move(error).context("no answer from {}", to_string(endpoint));
}

std::string_view body_of(const ClientRequest& request) {
  return request.body_view.empty() ? request.body : request.body_view;
}

Result<std::string> make_head(const Endpoint& endpoint, const ClientRequest& request) {
  Headers headers;
  headers.set("Host", to_string(endpoint));
  for (const auto& [name, value] : request.headers) {
    if (!equal_ignoring_case(name, "host")) headers.add(name, value);
  }
  headers.erase("content-length");
  headers.erase("transfer-encoding");
  if (request.body_stream) {
    headers.set("Transfer-Encoding", "chunked");
  } else if (!body_of(request).empty() || (request.method != "GET" && request.method != "HEAD")) {
    headers.set("Content-Length", std::to_string(body_of(request).size()));
  }
  return request_head(request.method, request.target, headers);
}

// Sends a request whose body is a stream. An error of that stream comes back as it is, in `own`.
Task<Result<void>> send_stream(Transport& transport, std::string_view head,
                               const ClientRequest& request, Duration idle, bool& own) {
  auto sent = co_await transport.write({head, "", ""}, idle);
  while (sent) {
    auto piece = co_await request.body_stream();
    if (!piece) {
      own = true;
      co_return fail(std::move(piece).error());
    }
    if (!*piece) co_return co_await transport.write({kLastChunk, "", ""}, idle);
    if ((*piece)->empty()) continue;
    const std::string chunk = chunk_head((*piece)->size());
    sent = co_await transport.write({chunk, **piece, kChunkEnd}, idle);
  }
  co_return sent;
}

// Reads the head of the answer, past interim ones (1xx).
Task<Result<void>> read_head(ClientResponse::State& state, bool head_request, Bytes head_limit,
                             Duration limit, bool& any_byte) {
  Transport& transport = *state.transport;
  const SteadyTime until = std::chrono::steady_clock::now() + limit;
  for (;;) {
    auto step = state.parser->advance(transport.input());
    if (!step) co_return fail(std::move(step).error());
    transport.consume(step->consumed);
    if (step->kind == ParseStep::Kind::head) {
      const int status = state.parser->status();
      if (status >= 200) co_return Result<void>{};
      if (status == 101) {
        co_return fail(ErrorCode::unsupported, "the server switched protocols unasked");
      }
      state.parser = std::make_unique<ResponseParser>(head_limit, head_request);
      continue;
    }
    const auto left =
        std::chrono::duration_cast<Duration>(until - std::chrono::steady_clock::now());
    auto read = co_await transport.read_more(std::max(left, Duration::zero()));
    if (!read) {
      if (read.error().code == ErrorCode::timeout) {
        co_return fail(ErrorCode::timeout, "no answer came within {} ms", limit.count());
      }
      co_return fail(std::move(read).error());
    }
    if (*read == 0) {
      co_return fail(ErrorCode::unavailable, "the connection was closed before an answer came");
    }
    any_byte = true;
  }
}

Task<tl::expected<StatePtr, Failure>> attempt(std::shared_ptr<Transport> transport,
                                              const Peer& peer, const ClientRequest& request,
                                              std::string_view head, ClientDeadlines deadlines,
                                              Bytes head_limit) {
  auto state = std::make_unique<ClientResponse::State>();
  const bool head_request = request.method == "HEAD";
  state->transport = std::move(transport);
  state->peer = peer;
  state->parser = std::make_unique<ResponseParser>(head_limit, head_request);
  const SteadyTime began = std::chrono::steady_clock::now();
  bool own = false;
  bool any_byte = false;
  Result<void> sent;
  Transport::Pieces pieces{head, body_of(request), ""};
  if (request.body_stream) {
    sent = co_await send_stream(*state->transport, head, request, deadlines.idle, own);
  } else if (!state->transport->write_now(pieces)) {
    sent = co_await state->transport->write(pieces, deadlines.idle);
  }
  if (own) {
    state->transport->close();
    co_return tl::make_unexpected(Failure{std::move(sent).error(), false});
  }
  Result<void> answered;
  if (sent || sent.error().code == ErrorCode::cancelled) {
    // A server may answer (413, say) and close before it has read the whole request.
    answered = co_await read_head(*state, head_request, head_limit, deadlines.head, any_byte);
  } else {
    answered = sent;
  }
  if (answered) co_return state;
  state->transport->close();
  const ErrorCode code = answered.error().code;
  const bool broke = code == ErrorCode::unavailable || code == ErrorCode::cancelled;
  const bool at_once = std::chrono::steady_clock::now() - began < kStaleWindow;
  co_return tl::make_unexpected(
      Failure{at(peer.endpoint, std::move(answered).error()), broke && at_once && !any_byte});
}

}  // namespace

void Abort::abort() {
  aborted_ = true;
  if (const auto transport = transport_.lock()) transport->close();
}

void ClientResponse::State::end() {
  ended = true;
  const auto pool = client.lock();
  if (pool && parser->keep_alive() && transport->input().empty()) {
    pool->keep(peer, transport);
  } else {
    transport->close();
  }
}

std::optional<Result<BodyPiece>> ClientResponse::State::ready_piece() {
  if (ended) return BodyPiece();
  transport->consume(std::exchange(held, 0));
  auto step = parser->advance(transport->input());
  if (!step) {
    transport->close();
    return fail(at(peer.endpoint, std::move(step).error()));
  }
  if (step->kind == ParseStep::Kind::body) {
    held = step->consumed;
    return BodyPiece(step->body);
  }
  transport->consume(step->consumed);
  if (step->kind == ParseStep::Kind::need_more) return std::nullopt;
  end();
  return BodyPiece();
}

ClientResponse::ClientResponse(std::unique_ptr<State> state) : state_(std::move(state)) {}
ClientResponse::ClientResponse(ClientResponse&&) noexcept = default;

ClientResponse& ClientResponse::operator=(ClientResponse&& other) noexcept {
  if (this != &other) {
    if (state_ && !state_->ended) state_->transport->close();
    state_ = std::move(other.state_);
  }
  return *this;
}

ClientResponse::~ClientResponse() {
  if (state_ && !state_->ended) state_->transport->close();
}

int ClientResponse::status() const { return state_->parser->status(); }
const Headers& ClientResponse::headers() const { return state_->parser->headers(); }

void ClientResponse::abort() {
  if (state_->ended) return;
  state_->aborted = true;
  state_->transport->close();
}

Task<Result<BodyPiece>> ClientResponse::read_some(Duration deadline) {
  State& state = *state_;
  Transport& transport = *state.transport;
  for (;;) {
    if (auto ready = state.ready_piece()) co_return *std::move(ready);
    auto read = co_await transport.read_more(deadline);
    if (read && *read > 0) continue;
    if (!read && state.aborted) co_return fail(ErrorCode::cancelled, "the request was cancelled");
    if (!read) {
      // A read that the caller's task cancelled loses nothing; all else ends the connection.
      if (read.error().code == ErrorCode::cancelled) co_return fail(std::move(read).error());
      transport.close();
      co_return fail(std::move(read).error().context("the answer from {} broke off",
                                                     to_string(state.peer.endpoint)));
    }
    auto ended = state.parser->end_of_input();
    transport.close();
    if (!ended) co_return fail(at(state.peer.endpoint, std::move(ended).error()));
    state.ended = true;
    co_return std::nullopt;
  }
}

Task<Result<std::string>> ClientResponse::read_all(Bytes limit, Duration deadline) {
  std::string body;
  for (;;) {
    auto piece = state_->ready_piece();
    if (!piece) piece = co_await read_some(deadline);
    BERTH_CO_TRY(const auto bytes, *std::move(piece));
    if (!bytes) co_return body;
    if (body.size() + bytes->size() > limit.count) {
      abort();
      co_return fail(ErrorCode::too_large, "the answer from {} is larger than {}",
                     to_string(state_->peer.endpoint), limit);
    }
    body += *bytes;
  }
}

Task<Result<ClientResponse>> Client::send(Endpoint endpoint, ClientRequest request,
                                          ClientDeadlines deadlines) {
  const std::shared_ptr<State> state = state_;  // the client may go while this waits
  BERTH_CO_TRY(const std::string head, make_head(endpoint, request));
  const Bytes head_limit = state->options.head_limit;
  const Peer peer{.endpoint = std::move(endpoint), .tls = std::move(request.tls)};
  std::shared_ptr<Transport> transport = state->take(peer);
  bool kept = transport != nullptr;
  const std::shared_ptr<Abort> abort = request.abort;
  for (;;) {
    if (!transport) {
      auto connected = co_await connect_to(peer, deadlines.connect);
      BERTH_CO_TRY(transport, std::move(connected));
    }
    if (abort) abort->transport_ = transport;
    if (abort && abort->aborted()) transport->close();
    auto answered =
        co_await attempt(std::move(transport), peer, request, head, deadlines, head_limit);
    transport = nullptr;
    if (answered) {
      (*answered)->client = state;
      if ((*answered)->parser->done()) (*answered)->end();
      co_return ClientResponse(std::move(*answered));
    }
    if (abort && abort->aborted()) co_return fail(ErrorCode::cancelled, "the request was given up");
    const bool again = kept && answered.error().stale && !request.body_stream;
    if (!again) co_return fail(std::move(answered).error().error);
    kept = false;
  }
}

Task<Result<Response>> Client::fetch(Endpoint endpoint, ClientRequest request,
                                     ClientDeadlines deadlines, Bytes body_limit) {
  auto sent = co_await send(std::move(endpoint), std::move(request), deadlines);
  BERTH_CO_TRY(ClientResponse answer, std::move(sent));
  auto read = co_await answer.read_all(body_limit, deadlines.head);
  BERTH_CO_TRY(std::string body, std::move(read));
  co_return Response{
      .status = answer.status(), .headers = answer.headers(), .body = std::move(body)};
}

Task<Result<void>> try_connect(Endpoint endpoint, Duration limit) {
  auto transport = co_await connect_to({.endpoint = std::move(endpoint), .tls = {}}, limit);
  if (!transport) co_return fail(std::move(transport).error());
  co_return Result<void>{};
}

}  // namespace berth::net
