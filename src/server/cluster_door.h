// ClusterDoor: where workers reach the server: on loopback for the one of this machine, and, once
// machines may join, on an address that others can reach.
#pragma once

#include "base/result.h"
#include "cluster/protocol.h"
#include "net/router.h"
#include "net/server.h"

#include <functional>
#include <memory>
#include <mutex>
#include <string>

namespace berth::server {

struct ClusterDoorOptions {
  net::Endpoint listen{"0.0.0.0", cluster::kServerPort};
  std::string advertise;  // "host" or "host:port" that machines are told; empty: found out
  std::function<std::shared_ptr<const net::Tls>()> tls;
};

// Thread-safe.
class ClusterDoor {
 public:
  explicit ClusterDoor(ClusterDoorOptions options);
  ~ClusterDoor();
  ClusterDoor(const ClusterDoor&) = delete;
  ClusterDoor& operator=(const ClusterDoor&) = delete;

  // Listens on loopback; call once, before the rest. `routes` makes what each listener serves. The
  // address.
  Result<net::Endpoint> open_locally(std::function<net::Router()> routes);
  // Listens for other machines, if it does not yet; the URL by which they come. Fails with
  // unavailable where the port is taken. Blocks.
  Result<std::string> open();
  // As Server::stop, both.
  void stop(Duration grace);

 private:
  Result<std::unique_ptr<net::Server>> listen(net::Endpoint address) const;

  ClusterDoorOptions options_;
  std::function<net::Router()> routes_;
  std::mutex mutex_;
  std::unique_ptr<net::Server> local_;
  std::unique_ptr<net::Server> open_;
};

}  // namespace berth::server
