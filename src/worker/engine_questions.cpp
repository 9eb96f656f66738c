#include "worker/engine_questions.h"

#include "net/client.h"
#include "net/listener.h"

#include <algorithm>
#include <charconv>

namespace berth::worker {
namespace {

constexpr net::ClientDeadlines kHealthDeadlines{.connect = std::chrono::seconds(1),
                                                .head = std::chrono::seconds(2),
                                                .idle = std::chrono::seconds(2)};
constexpr Bytes kLongestAnswer = 1_MiB;

std::optional<double> figure_in(std::string_view text, std::string_view name) {
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (!line.starts_with(name)) continue;
    line.remove_prefix(name.size());
    if (!line.starts_with(' ')) continue;
    line.remove_prefix(1);
    double value = 0;
    const auto [stop, error] = std::from_chars(line.data(), line.data() + line.size(), value);
    if (error == std::errc{}) return value;
  }
  return std::nullopt;
}

// Without a connection, which some engines would take for their only client: the port can not be
// bound where somebody listens. A socket that is bound and does not listen is in nobody's way.
bool is_listening(const net::Executor& executor, std::uint16_t port) {
  using boost::asio::ip::tcp;
  net::Acceptor acceptor(executor);
  boost::system::error_code error;
  acceptor.open(tcp::v4(), error);
  acceptor.set_option(net::Acceptor::reuse_address(true), error);
  acceptor.bind({boost::asio::ip::address_v4::loopback(), port}, error);
  return error == boost::asio::error::address_in_use;
}

net::Task<Result<LivenessAnswer>> ask(net::Executor executor, model::LivenessProbe probe,
                                      net::ClientRequest request, std::string key,
                                      Duration patience) {
  if (probe.needs_key) request.headers.set("authorization", "Bearer " + key);
  const net::Endpoint engine{"127.0.0.1", probe.port};
  const net::ClientDeadlines deadlines{.connect = patience, .head = patience, .idle = patience};
  auto& client = net::Client::of(executor.context());
  auto fetched = client.fetch(engine, std::move(request), deadlines, kLongestAnswer);
  auto answer = co_await net::with_deadline(std::move(fetched), patience, "a liveness probe");
  if (!answer) co_return fail(std::move(answer).error());
  co_return LivenessAnswer{.status = answer->status, .body = std::move(answer->body)};
}

}  // namespace

net::Task<Result<bool>> ask_health(net::Executor executor, model::HealthProbe probe) {
  if (probe.path.empty()) co_return is_listening(executor, probe.port);
  net::ClientRequest request;
  request.target = probe.path;
  const net::Endpoint engine{"127.0.0.1", probe.port};
  auto& client = net::Client::of(executor.context());
  auto answer = co_await client.fetch(engine, std::move(request), kHealthDeadlines, 64_KiB);
  co_return answer && answer->status == probe.expected_status;
}

net::Task<Result<LivenessAnswer>> ask_liveness(net::Executor executor, model::LivenessProbe probe,
                                               std::string key, Duration patience) {
  net::ClientRequest request;
  request.target = probe.path;
  return ask(std::move(executor), probe, std::move(request), std::move(key), patience);
}

net::Task<Result<LivenessAnswer>> send_trial(net::Executor executor, model::LivenessProbe probe,
                                             std::string key, Duration patience) {
  net::ClientRequest request;
  request.method = "POST";
  request.target = probe.request.path;
  request.headers.set("content-type", "application/json");
  request.body = probe.request.body;
  return ask(std::move(executor), probe, std::move(request), std::move(key), patience);
}

std::optional<double> sum_of_figures(std::string_view text, const std::vector<std::string>& names) {
  double sum = 0;
  for (const auto& name : names) {
    const auto figure = figure_in(text, name);
    if (!figure) return std::nullopt;
    sum += *figure;
  }
  return sum;
}

}  // namespace berth::worker
