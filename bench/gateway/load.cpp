#include "load.h"

#include "net/client.h"

#include <algorithm>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

namespace berth::bench {
namespace {

constexpr Duration kPatience = std::chrono::seconds(120);

struct Count {
  std::size_t requests = 0;
  std::size_t failures = 0;
  std::size_t events = 0;
  std::vector<double> first_ms;
};

std::string make_body(const Load& load) {
  std::string body = R"({"model":"m","max_tokens":16,)";
  if (load.stream) {
    body += fmt::format(R"("stream":true,"events":{},"pace_ms":{},)", load.events, load.pace_ms);
  }
  body += R"("prompt":")";
  body.append(load.body_bytes > body.size() + 2 ? load.body_bytes - body.size() - 2 : 1, 'x');
  return body + "\"}";
}

double milliseconds_since(SteadyTime moment) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - moment)
      .count();
}

std::size_t count_events(std::string_view bytes) {
  std::size_t count = 0;
  for (auto at = bytes.find("data: {"); at != std::string_view::npos;
       at = bytes.find("data: {", at + 1)) {
    ++count;
  }
  return count;
}

net::Task<> request_once(net::Client& client, const Load& load, const std::string& body,
                         Count& count) {
  net::ClientRequest request{.method = "POST", .target = "/v1/completions"};
  request.headers.set("authorization", "Bearer " + load.key);
  request.headers.set("content-type", "application/json");
  request.body = body;
  const SteadyTime began = std::chrono::steady_clock::now();
  auto answer = co_await client.send(load.server, std::move(request));
  bool good = answer && answer->status() == 200;
  bool first = true;
  while (good) {
    const auto piece = co_await answer->read_some(kPatience);
    good = piece.has_value();
    if (!good || !*piece) break;
    if (std::exchange(first, false)) count.first_ms.push_back(milliseconds_since(began));
    if (load.stream) count.events += count_events(**piece);
  }
  ++count.requests;
  if (!good) ++count.failures;
}

net::Task<> connection(net::Client& client, const Load& load, const std::string& body,
                       Duration wait, SteadyTime until, Count& count) {
  if (wait > Duration::zero()) co_await net::sleep_for(wait);
  do {
    co_await request_once(client, load, body, count);
  } while (!load.stream && std::chrono::steady_clock::now() < until);
}

double percentile(const std::vector<double>& sorted, double part) {
  if (sorted.empty()) return 0;
  return sorted[static_cast<std::size_t>(part * static_cast<double>(sorted.size() - 1))];
}

}  // namespace

json::object run_load(const Load& load) {
  net::IoContext context(1);
  net::Client client(context, {.max_idle_per_endpoint = load.connections});
  Count count;
  const std::string body = make_body(load);
  const SteadyTime began = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < load.connections; ++i) {
    const Duration wait = load.ramp * i / load.connections;
    boost::asio::co_spawn(context,
                          connection(client, load, body, wait, began + load.duration, count),
                          boost::asio::detached);
  }
  // Kept connections would keep the context alive; the last request ends the run.
  while (count.requests < load.connections ||
         (!load.stream && began + load.duration > std::chrono::steady_clock::now())) {
    if (context.run_for(std::chrono::milliseconds(20)) == 0 && context.stopped()) break;
  }
  const double seconds = milliseconds_since(began) / 1000;
  std::sort(count.first_ms.begin(), count.first_ms.end());
  return {{"requests", count.requests},
          {"failures", count.failures},
          {"events", count.events},
          {"seconds", seconds},
          {"first_p50_ms", percentile(count.first_ms, 0.5)},
          {"first_p99_ms", percentile(count.first_ms, 0.99)}};
}

}  // namespace berth::bench
