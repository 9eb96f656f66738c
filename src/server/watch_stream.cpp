#include "server/watch_stream.h"

#include "net/sse.h"
#include "net/wake_up.h"
#include "store/watch.h"

#include <algorithm>
#include <charconv>
#include <memory>

#include <spdlog/spdlog.h>

namespace berth::server {
namespace {

constexpr Duration kBookmark = std::chrono::seconds(15);
constexpr std::size_t kBatch = 16;         // changes fetched at a time
constexpr std::size_t kPieceSize = 65536;  // of text written at a time, if the changes are small
constexpr Bytes kFarBehind = 1_MiB;
constexpr Duration kSlow = std::chrono::seconds(5);  // for one piece, before anybody asks why
constexpr Duration kLook = std::chrono::seconds(1);  // between two looks at a slow watcher
constexpr Duration kBusy = std::chrono::milliseconds(200);  // while the pool's queue is full

struct WatchRequest {
  std::vector<std::string> kinds;
  store::Revision since = 0;
};

// Fails with invalid_parameter; kinds that are not in `allowed` are refused by name.
Result<WatchRequest> read_watch_request(const net::Request& request,
                                        const std::vector<std::string>& allowed) {
  WatchRequest result;
  std::string_view kinds = request.query.get("kinds").value_or("");
  while (!kinds.empty()) {
    const auto comma = std::min(kinds.find(','), kinds.size());
    const std::string kind(kinds.substr(0, comma));
    if (std::find(allowed.begin(), allowed.end(), kind) == allowed.end()) {
      return fail(make_error(ErrorCode::invalid_parameter,
                             "kinds: \"{}\" can not be watched; known: {}", kind,
                             fmt::join(allowed, ", "))
                      .with_field("kinds"));
    }
    result.kinds.push_back(kind);
    kinds.remove_prefix(std::min(comma + 1, kinds.size()));
  }
  if (result.kinds.empty()) result.kinds = allowed;
  const auto header = request.headers.get("last-event-id");
  const std::string_view since = header ? *header : request.query.get("since").value_or("0");
  const auto [end, error] =
      std::from_chars(since.data(), since.data() + since.size(), result.since);
  if (error != std::errc{} || end != since.data() + since.size()) {
    return fail(
        make_error(ErrorCode::invalid_parameter, "since must be a revision (got \"{}\")", since)
            .with_field("since"));
  }
  return result;
}

std::string to_sse(const store::Change& change, const json::object& object) {
  const json::object data{{"kind", change.kind},
                          {"name", change.name},
                          {"revision", change.revision},
                          {"object", object}};
  return net::sse_event({.event = change.type == store::ChangeType::put ? "put" : "delete",
                         .data = to_text(data),
                         .id = std::to_string(change.revision)});
}

std::string bookmark(store::Revision revision) {
  return net::sse_event({.event = "bookmark",
                         .data = to_text(json::object{{"revision", revision}}),
                         .id = std::to_string(revision)});
}

net::Response refusal(const Error& error) {
  if (error.code != ErrorCode::gone) return net::error_response(error);
  json::object answer = net::error_json(error);
  answer["error"].as_object()["code"] = "revision_compacted";
  return net::json_response(http_status(error.code), answer);
}

// One watcher's stream. Lives in the coroutine that serves it.
class Relay {
 public:
  Relay(ServerContext& context, net::Exchange& exchange, const WatchRules& rules,
        store::Watch& watch, net::WakeUp& wake_up)
      : context_(context), exchange_(exchange), rules_(rules), watch_(watch), wake_up_(wake_up) {}

  net::Task<> run() {
    auto piece = co_await fetch();
    if (!piece) {
      co_await exchange_.respond(refusal(piece.error()));
      co_return;
    }
    net::Headers headers{{"content-type", "text/event-stream"}, {"cache-control", "no-store"}};
    auto sent = co_await exchange_.start(200, std::move(headers));
    while (sent && !over()) {
      if (!piece->text.empty()) sent = co_await send(piece->text);
      if (!sent) co_return;
      if (!piece->more) co_await wake_up_.wait(until_bookmark());
      if (over()) co_return;
      piece = co_await fetch();
      while (!piece && piece.error().code == ErrorCode::resource_exhausted) {
        co_await net::sleep_for(kBusy);
        piece = co_await fetch();
      }
      if (!piece) co_return;  // the client comes back and is told why
      const bool quiet = piece->text.empty() && !piece->more && until_bookmark() == Duration{};
      if (quiet) piece->text = bookmark(watch_.position());
    }
  }

 private:
  struct Piece {
    std::string text;
    bool more = false;  // there is something to fetch already
  };

  // What there is to tell now, or some of it.
  net::Task<Result<Piece>> fetch() {
    return net::offload(context_.pool, [this]() -> Result<Piece> {
      Piece piece{.text = {}, .more = true};
      while (piece.more && piece.text.size() < kPieceSize) {
        BERTH_TRY(const auto changes, watch_.next(kBatch));
        piece.more = changes.more;
        for (const auto& change : changes.changes) {
          if (const auto object = rules_.show(change)) piece.text += to_sse(change, *object);
        }
      }
      return piece;
    });
  }

  net::Task<Result<void>> send(std::string_view text) {
    auto sent =
        co_await net::unless(exchange_.write(text), far_behind(),
                             make_error(ErrorCode::unavailable,
                                        "it is more than {} behind and takes nothing", kFarBehind));
    if (!sent && sent.error().code == ErrorCode::unavailable && !context_.watches.ended()) {
      spdlog::info("a watch of {} was cut at revision {}: {}", exchange_.request().peer,
                   watch_.position(), sent.error().to_string());
    }
    told_ = context_.clock.steady_now();
    co_return sent;
  }

  // Ends when the client has been slow for long and has too much before it, or the server stops.
  net::Task<> far_behind() {
    const SteadyTime patience = context_.clock.steady_now() + kSlow;
    do {
      co_await net::sleep_for(kLook);
    } while (!context_.watches.ended() &&
             (context_.clock.steady_now() < patience || !watch_.is_behind(kFarBehind)));
  }

  [[nodiscard]] bool over() const {
    return exchange_.gone() || context_.watches.ended() || !is_member_still();
  }
  // A worker whose certificate was taken back loses its watch too.
  [[nodiscard]] bool is_member_still() const {
    return rules_.access != RouteAccess::worker ||
           context_.members.authenticate(exchange_.request()).has_value();
  }

  Duration until_bookmark() {
    const auto quiet = std::chrono::duration_cast<Duration>(context_.clock.steady_now() - told_);
    return std::max(kBookmark - quiet, Duration{});
  }

  ServerContext& context_;
  net::Exchange& exchange_;
  const WatchRules& rules_;
  store::Watch& watch_;
  net::WakeUp& wake_up_;
  SteadyTime told_ = context_.clock.steady_now();
};

class Registration {
 public:
  Registration(WatchStreams& streams, std::shared_ptr<net::WakeUp> wake_up)
      : streams_(streams), wake_up_(std::move(wake_up)) {
    streams_.add(wake_up_);
  }
  Registration(const Registration&) = delete;
  Registration& operator=(const Registration&) = delete;
  ~Registration() { streams_.take_out(wake_up_); }

 private:
  WatchStreams& streams_;
  const std::shared_ptr<net::WakeUp> wake_up_;
};

}  // namespace

net::Task<> serve_watch(ServerContext& context, net::Exchange& exchange, WatchRules rules) {
  const auto admitted = co_await admit(context, rules.access, exchange);
  if (!admitted) co_return;
  auto request = read_watch_request(exchange.request(), rules.kinds);
  if (!request) {
    co_await exchange.respond(net::error_response(request.error()));
    co_return;
  }
  auto wake_up = std::make_shared<net::WakeUp>(exchange.executor());
  exchange.on_client_gone([wake_up] { wake_up->wake(); });
  const auto watch = context.store.watch(
      store::Scope::where(std::move(request->kinds), rules.field, rules.value), request->since,
      [wake_up](store::Revision) { wake_up->wake_from_anywhere(); });
  // Taken out however this ends: a server that stops cancels by an exception.
  const Registration registration(context.watches, wake_up);
  Relay relay(context, exchange, rules, *watch, *wake_up);
  co_await relay.run();
  exchange.on_client_gone({});
}

}  // namespace berth::server
