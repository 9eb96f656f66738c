#include "net/relay.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

namespace berth::net {
namespace {

constexpr std::array<std::string_view, 10> kHopByHop = {
    "connection",          "keep-alive",      "te",   "trailer",
    "transfer-encoding",   "upgrade",         "host", "expect",
    "proxy-authorization", "proxy-connection"};

bool is_named(std::string_view list, std::string_view name) {
  while (!list.empty()) {
    const auto comma = std::min(list.find(','), list.size());
    auto one = list.substr(0, comma);
    while (one.starts_with(' ')) one.remove_prefix(1);
    while (one.ends_with(' ')) one.remove_suffix(1);
    if (equal_ignoring_case(one, name)) return true;
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return false;
}

}  // namespace

Headers end_to_end_headers(const Headers& headers) {
  const std::string_view named = headers.get("connection").value_or("");
  Headers kept;
  for (const auto& [name, value] : headers) {
    const bool is_hop = std::any_of(kHopByHop.begin(), kHopByHop.end(), [&](std::string_view hop) {
      return equal_ignoring_case(hop, name);
    });
    if (!is_hop && !is_named(named, name)) kept.add(name, value);
  }
  return kept;
}

Task<Result<void>> relay_answer(Exchange& exchange, ClientResponse answer, Duration idle) {
  exchange.on_client_gone([&answer] { answer.abort(); });
  auto done = co_await exchange.start(answer.status(), end_to_end_headers(answer.headers()));
  while (done) {
    const auto piece = co_await answer.read_some(idle);
    if (!piece) {
      done = fail(Error(piece.error()));
      break;
    }
    if (!*piece) {
      done = co_await exchange.finish();
      break;
    }
    done = co_await exchange.write(**piece);
  }
  exchange.on_client_gone({});
  co_return done;
}

}  // namespace berth::net
