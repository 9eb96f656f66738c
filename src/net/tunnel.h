// Tunnel: a TCP connection inside another one, which HTTP's Upgrade turned into it (RFC 9110,
// section 7.8). For engines of one instance on several workers, whose protocols know neither keys
// nor encryption.
#pragma once

#include "net/client_connection.h"
#include "net/listener.h"

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace berth::net {

inline constexpr std::string_view kTunnelProtocol = "berth-tunnel";

// Passes on what comes, both ways, until one side ends or breaks; then closes both. Both belong to
// the executor that this runs on. No limit on silence: connections between engines idle for hours.
Task<> splice(std::shared_ptr<Transport> one, std::shared_ptr<Transport> other);

// Asks `peer` for the tunnel `target` ("/tunnel/NAME"). Fails as connect_to; with unavailable where
// the peer says no, and with what it says.
Task<Result<std::shared_ptr<Transport>>> open_tunnel(Peer peer, std::string target, Duration limit);

// A port of this machine that leads through tunnels: each connection through one of its own.
class TunnelEntry {
 public:
  using Open = std::function<Task<Result<std::shared_ptr<Transport>>>()>;

  // Takes connections on 127.0.0.1:`port` (0: any free one) until `stop`; at most 64 at a time. An
  // `open` that fails closes the connection. Fails with unavailable where the port is taken. Used
  // on `context`'s thread only, and held by shared_ptr while connections are under way.
  static Result<std::shared_ptr<TunnelEntry>> listen(IoContext& context, std::uint16_t port,
                                                     Open open);
  TunnelEntry(Acceptor acceptor, Open open);
  TunnelEntry(const TunnelEntry&) = delete;
  TunnelEntry& operator=(const TunnelEntry&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  // Takes none any more and closes those under way.
  void stop();

 private:
  static Task<> accept_all(std::shared_ptr<TunnelEntry> self);
  static Task<> serve(std::shared_ptr<TunnelEntry> self, std::shared_ptr<Transport> transport);

  Acceptor acceptor_;
  Open open_;
  std::uint16_t port_ = 0;
  std::vector<std::weak_ptr<Transport>> open_ones_;  // both ends of each
};

}  // namespace berth::net
