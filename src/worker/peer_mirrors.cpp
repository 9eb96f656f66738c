#include "worker/peer_mirrors.h"

#include "base/clock.h"
#include "base/ids.h"
#include "model/files_status.h"
#include "net/client.h"
#include "net/relay.h"
#include "worker/listener.h"

#include <charconv>

#include <spdlog/spdlog.h>

namespace berth::worker {
namespace {

constexpr net::ClientDeadlines kAsking{.connect = std::chrono::seconds(2),
                                       .head = std::chrono::seconds(5),
                                       .idle = std::chrono::seconds(5)};
constexpr net::ClientDeadlines kReading{.connect = std::chrono::seconds(2),
                                        .head = std::chrono::seconds(15),
                                        .idle = std::chrono::seconds(15)};
constexpr Bytes kLargestAnswer = 1_MiB;
constexpr std::size_t kEnough = 2;  // mirrors: the hub is there as well
constexpr std::chrono::seconds kAskingAll{6};

template <class T>
Result<T> ask(const net::Endpoint& endpoint, const net::TlsPeer& peer, std::string target,
              const std::stop_token& stop) {
  net::ClientRequest request{.target = std::move(target), .tls = peer};
  BERTH_TRY(const auto answer,
            net::fetch_blocking(endpoint, std::move(request), kAsking, kLargestAnswer, stop));
  if (answer.status >= 300) return fail(net::error_from_response(answer.status, answer.body));
  BERTH_TRY(const auto body, parse_json(answer.body));
  return from_json<T>(body, UnknownMembers::ignore);
}

}  // namespace

PeerMirrors::PeerMirrors(const Membership& membership, const model::RepositoryFiles& files,
                         const std::stop_token& stop)
    : key_(random_key()) {
  auto found = find(membership, files, stop);
  if (found && !ways_.empty()) found = listen();
  if (!found) {
    mirrors_.clear();
    spdlog::info("no other worker is asked for {}: {}", files.source, found.error().to_string());
  }
}

PeerMirrors::~PeerMirrors() {
  if (server_) server_->stop(Duration(0));
}

Result<PeerMirrors::Way> PeerMirrors::way_to(const Membership& membership,
                                             const cluster::Peer& peer, const std::string& key) {
  if (peer.address.empty()) {
    BERTH_TRY(auto server, membership.server());
    return Way{
        .worker = peer.worker,
        .endpoint = std::move(server.endpoint),
        .peer = std::move(server.peer),
        .base = fmt::format("/cluster/v1/peers/{}/{}", net::percent_encode(peer.worker), key)};
  }
  BERTH_TRY(auto endpoint, net::parse_endpoint(peer.address));
  return Way{.worker = peer.worker,
             .endpoint = std::move(endpoint),
             .peer = membership.peer_of(peer.worker),
             .base = fmt::format("/peer/v1/files/{}", key)};
}

Result<void> PeerMirrors::find(const Membership& membership, const model::RepositoryFiles& files,
                               const std::stop_token& stop) {
  const std::string key = model::files_key(files);
  BERTH_TRY(const auto server, membership.server());
  BERTH_TRY(const auto peers,
            ask<cluster::Peers>(server.endpoint, server.peer,
                                fmt::format("/cluster/v1/peers?files={}", key), stop));
  const SteadyTime until = real_clock().steady_now() + kAskingAll;
  for (const auto& peer : peers.items) {
    if (stop.stop_requested() || ways_.size() == kEnough) break;
    if (real_clock().steady_now() > until) break;  // perhaps a firewall lets none through
    auto way = way_to(membership, peer, key);
    if (!way) continue;
    const auto offer = ask<cluster::FilesOffer>(way->endpoint, way->peer, way->base, stop);
    if (!offer) {
      spdlog::debug("{} has no {}: {}", peer.worker, files.source, offer.error().to_string());
    } else if (offer->files == files.files.size()) {
      ways_.push_back(*std::move(way));
    }
  }
  return {};
}

Result<void> PeerMirrors::listen() {
  net::Router router;
  router.add("GET", "/{way}/{index}", [this](net::Exchange& exchange) { return pass(exchange); });
  BERTH_TRY(server_, net::Server::listen({.address = {"127.0.0.1", 0}}, std::move(router)));
  for (std::size_t i = 0; i < ways_.size(); ++i) {
    mirrors_.push_back({.name = ways_[i].worker,
                        .base = fmt::format("http://{}/{}", net::to_string(server_->address()), i),
                        .token = key_});
  }
  server_->start();
  return {};
}

net::Task<Result<void>> PeerMirrors::pass_on(net::Exchange& exchange) const {
  BERTH_CO_CHECK(check_key(exchange.request(), key_));
  const std::string_view text = exchange.param("way");
  std::size_t index = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), index);
  if (error != std::errc{} || end != text.data() + text.size() || index >= ways_.size()) {
    co_return fail(ErrorCode::not_found, "there is no such mirror");
  }
  const Way& way = ways_[index];
  net::ClientRequest request{.target = fmt::format("{}/{}", way.base, exchange.param("index")),
                             .tls = way.peer};
  if (const auto range = exchange.request().headers.get("range")) {
    request.headers.set("range", *range);
  }
  auto& client = net::Client::of(exchange.executor().context());
  auto answer = co_await client.send(way.endpoint, std::move(request), kReading);
  if (!answer) co_return fail(std::move(answer).error().context("{} does not answer", way.worker));
  co_return co_await net::relay_answer(exchange, std::move(*answer), kReading.idle);
}

net::Task<> PeerMirrors::pass(net::Exchange& exchange) const {
  const auto done = co_await pass_on(exchange);
  if (done || exchange.responded() || exchange.gone()) co_return;
  co_await exchange.respond(net::error_response(done.error()));
}

}  // namespace berth::worker
