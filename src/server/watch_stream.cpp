#include "server/watch_stream.h"

#include "net/sse.h"
#include "net/wake_up.h"
#include "store/watch.h"

#include <algorithm>
#include <charconv>
#include <memory>

namespace berth::server {
namespace {

constexpr std::chrono::seconds kBookmark{15};
constexpr std::size_t kBatch = 200;

std::string to_sse(const store::Change& change, const json::object& object) {
  const json::object data{{"kind", change.kind},
                          {"name", change.name},
                          {"revision", change.revision},
                          {"object", object}};
  return net::sse_event({.event = change.type == store::ChangeType::put ? "put" : "delete",
                         .data = to_text(data),
                         .id = std::to_string(change.revision)});
}

// What there is to tell now, as one text.
Result<std::string> fetch(store::Watch& watch, const WatchStream& stream) {
  std::string text;
  bool more = true;
  while (more && text.size() < store::kChangesLimit.count) {
    BERTH_TRY(const auto changes, watch.next(kBatch));
    more = changes.more;
    for (const auto& change : changes.changes) {
      if (const auto object = stream.show(change)) text += to_sse(change, *object);
    }
  }
  return text;
}

Error compacted(Error error) {
  if (error.code != ErrorCode::gone) return error;
  return Error{.code = ErrorCode::gone,
               .message =
                   "revision_compacted: changes since that revision are no longer kept; list "
                   "again and watch from the list's revision",
               .field = "since"};
}

net::Task<> relay(ServerContext& context, net::Exchange& exchange, const WatchStream& stream,
                  store::Watch& watch, net::WakeUp& wake_up) {
  auto first = co_await net::offload(context.pool, [&] { return fetch(watch, stream); });
  if (!first) {
    co_await exchange.respond(net::error_response(compacted(std::move(first).error())));
    co_return;
  }
  net::Headers headers{{"content-type", "text/event-stream"}, {"cache-control", "no-store"}};
  auto sent = co_await exchange.start(200, std::move(headers));
  std::string text = std::move(*first);
  while (sent && !exchange.gone()) {
    if (!text.empty()) {
      sent = co_await exchange.write(text);
      text.clear();
      if (!sent) co_return;
    }
    const bool woken = co_await wake_up.wait(kBookmark);
    if (exchange.gone()) co_return;
    auto next = co_await net::offload(context.pool, [&] { return fetch(watch, stream); });
    if (!next) co_return;  // the client comes back and is told why
    text = std::move(*next);
    if (!woken && text.empty()) {
      text = net::sse_event({.event = "bookmark",
                             .data = to_text(json::object{{"revision", watch.position()}}),
                             .id = std::to_string(watch.position())});
    }
  }
}

}  // namespace

Result<WatchStream> read_watch_request(const net::Request& request,
                                       const std::vector<std::string>& allowed) {
  WatchStream stream;
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
    stream.kinds.push_back(kind);
    kinds.remove_prefix(std::min(comma + 1, kinds.size()));
  }
  if (stream.kinds.empty()) stream.kinds = allowed;
  const auto header = request.headers.get("last-event-id");
  const std::string_view since = header ? *header : request.query.get("since").value_or("0");
  const auto [end, error] =
      std::from_chars(since.data(), since.data() + since.size(), stream.since);
  if (error != std::errc{} || end != since.data() + since.size()) {
    return fail(
        make_error(ErrorCode::invalid_parameter, "since must be a revision (got \"{}\")", since)
            .with_field("since"));
  }
  return stream;
}

net::Task<> serve_watch(ServerContext& context, net::Exchange& exchange, WatchStream stream) {
  auto wake_up = std::make_shared<net::WakeUp>(exchange.executor());
  exchange.on_client_gone([wake_up] { wake_up->wake(); });
  const auto watch = context.store.watch(
      stream.kinds, stream.since, [wake_up](store::Revision) { wake_up->wake_from_anywhere(); });
  co_await relay(context, exchange, stream, *watch, *wake_up);
  exchange.on_client_gone({});
}

}  // namespace berth::server
