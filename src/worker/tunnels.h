// Tunnels: the ports of this worker's proxy through which engines reach those of other workers.
#pragma once

#include "net/tls.h"
#include "net/tunnel.h"
#include "worker/proxy_file.h"

#include <functional>
#include <map>
#include <memory>
#include <thread>
#include <vector>

namespace berth::worker {

// Runs a thread of its own. Thread-safe.
class Tunnels {
 public:
  // `tls` tells by which certificate the proxy is known; it is called on that thread.
  explicit Tunnels(std::function<std::shared_ptr<const net::Tls>()> tls);
  // Closes all connections.
  ~Tunnels();
  Tunnels(const Tunnels&) = delete;
  Tunnels& operator=(const Tunnels&) = delete;

  // Listens for these and no others. What stays as it was keeps its connections.
  void set(std::vector<ProxyTunnel> wanted);

 private:
  struct Open {
    ProxyTunnel tunnel;
    std::shared_ptr<net::TunnelEntry> entry;
  };
  void apply(const std::vector<ProxyTunnel>& wanted);
  void listen(const ProxyTunnel& tunnel);

  std::function<std::shared_ptr<const net::Tls>()> tls_;
  net::IoContext context_{1};
  boost::asio::executor_work_guard<net::Executor> work_;
  std::vector<Open> open_;  // of the thread
  std::thread thread_;
};

}  // namespace berth::worker
