#include "worker/log_service.h"

#include "base/clock.h"
#include "worker/listener.h"
#include "worker/log_trail.h"
#include "worker/since.h"

#include <charconv>
#include <functional>
#include <optional>
#include <utility>

namespace berth::worker {
namespace {

constexpr std::chrono::milliseconds kFollowPause{250};

template <class Number>
Result<std::optional<Number>> read_number(const net::Query& query, std::string_view name) {
  const auto text = query.get(name);
  if (!text) return std::optional<Number>();
  Number number = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (error != std::errc{} || end != text->data() + text->size()) {
    return fail(
        make_error(ErrorCode::invalid_parameter, "{} must be a whole number (got {})", name, *text)
            .with_field(std::string(name)));
  }
  return std::optional<Number>(number);
}

Result<LogWish> read_wish(const net::Query& query) {
  LogWish wish;
  BERTH_TRY(wish.tail, read_number<std::size_t>(query, "tail"));
  BERTH_TRY(wish.attempt, read_number<std::uint32_t>(query, "attempt"));
  BERTH_TRY(const auto member, read_number<std::uint32_t>(query, "member"));
  wish.member = member.value_or(0);
  wish.follow = query.get("follow") == "true";
  wish.previous = query.get("previous") == "true";
  if (const auto since = query.get("since")) {
    BERTH_TRY(wish.since, parse_since(*since, real_clock().system_now()));
  }
  return wish;
}

struct Look {
  std::string piece;
  bool over = false;  // nothing comes after it
};

Result<Look> look_at(LogTrail& trail) {
  Look look{.piece = {}, .over = trail.is_over()};  // asked first, so that the last lines are found
  BERTH_TRY(look.piece, trail.next());
  return look;
}

net::Task<> send_trail(LogService& service, net::Exchange& exchange, LogTrail& trail, bool follow) {
  auto sent = co_await exchange.start(200, {{"content-type", "text/plain; charset=utf-8"}});
  while (sent && !exchange.gone()) {
    const auto look = co_await net::offload(service.pool, [&] { return look_at(trail); });
    if (!look) co_return;
    if (!look->piece.empty()) {
      sent = co_await exchange.write(look->piece);
      continue;
    }
    if (!follow || look->over) break;
    co_await net::sleep_for(kFollowPause);
  }
  if (sent && !exchange.gone()) co_await exchange.finish();
}

using OpenTrail = std::function<Result<LogTrail>(const LogWish&)>;

net::Task<> serve_log(LogService& service, net::Exchange& exchange, OpenTrail open) {
  if (auto allowed = check_key(exchange.request(), service.access_key); !allowed) {
    co_await exchange.respond(net::error_response(allowed.error()));
    co_return;
  }
  const auto wish = read_wish(exchange.request().query);
  if (!wish) {
    co_await exchange.respond(net::error_response(wish.error()));
    co_return;
  }
  auto trail = co_await net::offload(service.pool, [&] { return open(*wish); });
  if (!trail) {
    co_await exchange.respond(net::error_response(trail.error()));
    co_return;
  }
  co_await send_trail(service, exchange, *trail, wish->follow);
}

net::Task<> serve_instance_log(LogService& service, net::Exchange& exchange) {
  const std::string name(exchange.param("name"));
  OpenTrail open = [&service, name](const LogWish& wish) {
    return LogTrail::of_instance(service.data, name, wish);
  };
  co_await serve_log(service, exchange, std::move(open));
}

net::Task<> serve_own_log(LogService& service, net::Exchange& exchange) {
  OpenTrail open = [&service](const LogWish& wish) {
    return LogTrail::of_worker(service.data, wish);
  };
  co_await serve_log(service, exchange, std::move(open));
}

}  // namespace

void add_log_routes(net::Router& router, LogService& service) {
  router.add("GET", "/health", serve_health);
  router.add("GET", "/worker/v1/instances/{name}/logs",
             [&service](net::Exchange& exchange) { return serve_instance_log(service, exchange); });
  router.add("GET", "/worker/v1/logs",
             [&service](net::Exchange& exchange) { return serve_own_log(service, exchange); });
}

}  // namespace berth::worker
