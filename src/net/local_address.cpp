#include "net/local_address.h"

#include "net/task.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/host_name.hpp>
#include <boost/asio/ip/udp.hpp>

namespace berth::net {

using boost::asio::ip::udp;

std::optional<std::string> address_towards(const Endpoint& peer) {
  boost::asio::io_context context(1);
  boost::system::error_code error;
  udp::resolver resolver(context);
  const auto found = resolver.resolve(peer.host, std::to_string(peer.port), error);
  for (const auto& entry : found) {
    udp::socket socket(context);
    // Connecting a datagram socket only looks up the way.
    socket.open(entry.endpoint().protocol(), error);
    if (!error) socket.connect(entry.endpoint(), error);
    if (error) continue;
    const auto local = socket.local_endpoint(error);
    if (!error) return local.address().to_string();
  }
  return std::nullopt;
}

std::string host_name() {
  boost::system::error_code error;
  auto name = boost::asio::ip::host_name(error);
  return error || name.empty() ? "localhost" : name;
}

}  // namespace berth::net
