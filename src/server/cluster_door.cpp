#include "server/cluster_door.h"

#include "net/local_address.h"

#include <spdlog/spdlog.h>

namespace berth::server {
namespace {

// Documentation's network (RFC 5737): no packet is sent, only the way there is looked up.
const net::Endpoint kFarAway{"192.0.2.1", 9};

bool is_any(std::string_view host) { return host == "0.0.0.0" || host == "::"; }

}  // namespace

ClusterDoor::ClusterDoor(ClusterDoorOptions options) : options_(std::move(options)) {}

ClusterDoor::~ClusterDoor() { stop(Duration::zero()); }

Result<std::unique_ptr<net::Server>> ClusterDoor::listen(net::Endpoint address) const {
  net::ServerOptions options{.address = std::move(address)};
  options.tls = options_.tls;
  BERTH_TRY(auto server, net::Server::listen(std::move(options), routes_()));
  server->start();
  return server;
}

Result<net::Endpoint> ClusterDoor::open_locally(std::function<net::Router()> routes) {
  const std::scoped_lock lock(mutex_);
  routes_ = std::move(routes);
  BERTH_TRY(local_, listen({"127.0.0.1", 0}));
  return local_->address();
}

Result<std::string> ClusterDoor::open() {
  const std::scoped_lock lock(mutex_);
  if (!open_) {
    auto opened = listen(options_.listen);
    if (!opened) {
      return fail(std::move(opened).error().context(
          "workers of other machines can not reach the server (cluster_listen)"));
    }
    open_ = std::move(*opened);
    spdlog::info("workers of other machines may join at {}", net::to_string(open_->address()));
  }
  net::Endpoint told = open_->address();
  if (!options_.advertise.empty()) {
    BERTH_TRY(told, net::parse_endpoint(options_.advertise, told.port));
  } else if (is_any(told.host)) {
    told.host = net::address_towards(kFarAway).value_or(net::host_name());
  }
  return "https://" + net::to_string(told);
}

void ClusterDoor::stop(Duration grace) {
  const std::scoped_lock lock(mutex_);
  if (local_) local_->stop(grace);
  if (open_) open_->stop(grace);
}

}  // namespace berth::server
