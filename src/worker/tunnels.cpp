#include "worker/tunnels.h"

#include "net/url.h"

#include <algorithm>

#include <boost/asio/post.hpp>
#include <spdlog/spdlog.h>

namespace berth::worker {
namespace {

constexpr std::chrono::seconds kOpenPatience{10};

net::Task<Result<std::shared_ptr<net::Transport>>> open(ProxyTunnel tunnel,
                                                        std::shared_ptr<const net::Tls> tls) {
  auto parsed = net::parse_endpoint(tunnel.proxy);
  BERTH_CO_TRY(auto endpoint, std::move(parsed));
  net::Peer peer{.endpoint = std::move(endpoint),
                 .tls = {.tls = std::move(tls), .name = tunnel.certificate}};
  co_return co_await net::open_tunnel(std::move(peer),
                                      "/tunnel/" + net::percent_encode(tunnel.name), kOpenPatience);
}

}  // namespace

Tunnels::Tunnels(std::function<std::shared_ptr<const net::Tls>()> tls)
    : tls_(std::move(tls)), work_(context_.get_executor()), thread_([this] { context_.run(); }) {}

Tunnels::~Tunnels() {
  boost::asio::post(context_, [this] {
    apply({});
    work_.reset();
  });
  thread_.join();
}

void Tunnels::set(std::vector<ProxyTunnel> wanted) {
  boost::asio::post(context_, [this, wanted = std::move(wanted)] { apply(wanted); });
}

void Tunnels::apply(const std::vector<ProxyTunnel>& wanted) {
  std::erase_if(open_, [&](const Open& open) {
    if (std::ranges::find(wanted, open.tunnel) != wanted.end()) return false;
    open.entry->stop();
    return true;
  });
  for (const auto& tunnel : wanted) {
    if (std::ranges::find(open_, tunnel, &Open::tunnel) == open_.end()) listen(tunnel);
  }
}

void Tunnels::listen(const ProxyTunnel& tunnel) {
  auto entry = net::TunnelEntry::listen(context_, tunnel.port,
                                        [this, tunnel] { return open(tunnel, tls_()); });
  if (!entry) {
    spdlog::error("no tunnel to {}: {}", tunnel.name, entry.error().to_string());
    return;
  }
  open_.push_back({.tunnel = tunnel, .entry = *std::move(entry)});
}

}  // namespace berth::worker
