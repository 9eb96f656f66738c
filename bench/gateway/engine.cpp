#include "engine.h"

#include "base/json.h"

#include <string>

namespace berth::bench {
namespace {

// As llama-server writes one.
constexpr std::string_view kEvent =
    "data: {\"choices\":[{\"text\":\" "
    "word\",\"index\":0,\"logprobs\":null,\"finish_reason\":null}],"
    "\"created\":1795398460,\"model\":\"m\",\"system_fingerprint\":\"b0-unknown\","
    "\"object\":\"text_completion\",\"id\":\"chatcmpl-fLXz0Vp41BRJPXRqMu2q2ejnN2q1BIjF\"}\n\n";
constexpr std::string_view kDone = "data: [DONE]\n\n";

std::int64_t number(const json::object& body, std::string_view name, std::int64_t otherwise) {
  const auto* value = body.if_contains(name);
  return value != nullptr && value->is_int64() ? value->get_int64() : otherwise;
}

net::Task<> stream(net::Exchange& exchange, std::int64_t events, Duration pace) {
  net::Headers headers;
  headers.set("content-type", "text/event-stream");
  auto sent = co_await exchange.start(200, std::move(headers));
  for (std::int64_t i = 0; sent && i < events; ++i) {
    co_await net::sleep_for(pace);
    sent = co_await exchange.write(kEvent);
  }
  if (sent) sent = co_await exchange.write(kDone);
  if (sent) co_await exchange.finish();
}

net::Task<> answer(net::Exchange& exchange) {
  auto text = co_await exchange.read_body();
  if (!text) co_return;
  const auto parsed = parse_json(*text);
  if (!parsed || !parsed->is_object()) co_return;
  const auto& body = parsed->get_object();
  const auto* streams = body.if_contains("stream");
  if (streams != nullptr && streams->is_bool() && streams->get_bool()) {
    const auto events = number(body, "events", 10);
    const auto pace = std::chrono::milliseconds(number(body, "pace_ms", 50));
    co_await stream(exchange, events, pace);
    co_return;
  }
  const auto size = static_cast<std::size_t>(number(body, "answer_bytes", 512));
  net::Response response{.status = 200};
  response.headers.set("content-type", "application/json");
  response.body = "{\"choices\":[{\"index\":0,\"text\":\"" + std::string(size, 'x') +
                  "\"}],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":5}}";
  co_await exchange.respond(std::move(response));
}

}  // namespace

net::Router engine_router() {
  net::Router router;
  router.add("POST", "/v1/completions", answer);
  return router;
}

}  // namespace berth::bench
