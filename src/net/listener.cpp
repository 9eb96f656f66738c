#include "net/listener.h"

#include <sys/socket.h>

namespace berth::net {
namespace {

using boost::asio::ip::tcp;
using boost::system::error_code;
using ReusePort = boost::asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>;

tl::unexpected<Error> listen_error(const Endpoint& address, const error_code& error) {
  if (error == boost::asio::error::address_in_use) {
    return fail(ErrorCode::unavailable,
                "cannot listen on {}: the port is taken by another program; stop it, or choose "
                "another address (`ss -ltnp` shows who listens)",
                to_string(address));
  }
  return fail(ErrorCode::unavailable, "cannot listen on {}: {}", to_string(address),
              error.message());
}

Result<tcp::endpoint> resolve(const Endpoint& address, IoContext& context) {
  error_code error;
  const auto numeric = boost::asio::ip::make_address(address.host, error);
  if (!error) return tcp::endpoint(numeric, address.port);
  boost::asio::ip::basic_resolver<tcp, Executor> resolver(context.get_executor());
  const auto results =
      resolver.resolve(address.host, std::to_string(address.port), tcp::resolver::passive, error);
  if (error || results.empty()) return listen_error(address, error);
  return results.begin()->endpoint();
}

}  // namespace

// SO_REUSEPORT lets the kernel spread connections over the threads, but would also let a second
// server of the same user share the port unseen. So the first socket binds without it, which fails
// where anybody listens, and takes the option on only then; the others join it.
Result<std::vector<Acceptor>> open_listeners(Endpoint address, std::vector<IoContext*> contexts) {
  BERTH_TRY(auto endpoint, resolve(address, *contexts.front()));
  std::vector<Acceptor> acceptors;
  for (IoContext* context : contexts) {
    error_code error;
    Acceptor acceptor(context->get_executor());
    acceptor.open(endpoint.protocol(), error);
    if (!error) acceptor.set_option(Acceptor::reuse_address(true), error);
    const bool first = acceptors.empty();
    if (!error && !first) acceptor.set_option(ReusePort(true), error);
    if (!error) acceptor.bind(endpoint, error);
    if (!error && first && contexts.size() > 1) acceptor.set_option(ReusePort(true), error);
    if (!error && first) endpoint.port(acceptor.local_endpoint(error).port());
    if (!error) acceptor.non_blocking(true, error);
    if (error) return listen_error(address, error);
    acceptors.push_back(std::move(acceptor));
  }
  for (auto& acceptor : acceptors) {
    error_code error;
    acceptor.listen(4096, error);
    if (error) return listen_error(address, error);
  }
  return acceptors;
}

}  // namespace berth::net
