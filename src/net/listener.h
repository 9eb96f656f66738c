// Opening the listening sockets of a server: one a thread on the same port. Internal to net.
#pragma once

#include "base/result.h"
#include "net/task.h"
#include "net/url.h"

#include <vector>

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/ip/tcp.hpp>

namespace berth::net {

using Acceptor = boost::asio::basic_socket_acceptor<boost::asio::ip::tcp, Executor>;

// One listening socket for each of `contexts`, all on `address` (port 0: any free one). Fails with
// unavailable, naming address and remedy, where the port is taken, also by another such server.
Result<std::vector<Acceptor>> open_listeners(Endpoint address, std::vector<IoContext*> contexts);

}  // namespace berth::net
