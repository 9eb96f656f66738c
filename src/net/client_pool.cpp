#include "net/client_connection.h"

#include <boost/asio/execution_context.hpp>
#include <boost/asio/ip/tcp.hpp>

namespace berth::net {
namespace {

using boost::asio::ip::tcp;

constexpr std::chrono::seconds kHandshake{10};  // within the deadline for the whole

Task<Result<std::shared_ptr<Transport>>> try_connect(Peer peer) {
  const Endpoint& endpoint = peer.endpoint;
  using Connected = Result<std::shared_ptr<Transport>>;
  const Executor executor = co_await boost::asio::this_coro::executor;
  boost::system::error_code error;
  std::vector<tcp::endpoint> candidates;
  const auto numeric = boost::asio::ip::make_address(endpoint.host, error);
  if (!error) {
    candidates.emplace_back(numeric, endpoint.port);
  } else {
    boost::asio::ip::basic_resolver<tcp, Executor> resolver(executor);
    const auto [failed, results] =
        co_await resolver.async_resolve(endpoint.host, std::to_string(endpoint.port), use_task);
    error = failed;
    for (const auto& entry : results) candidates.push_back(entry.endpoint());
  }
  for (const auto& candidate : candidates) {
    Socket socket(executor);
    const auto [failed] = co_await socket.async_connect(candidate, use_task);
    error = failed;
    if (error) continue;
    auto transport = std::make_shared<Transport>(std::move(socket), peer.tls);
    auto greeted = co_await transport->handshake(kHandshake);
    if (greeted) co_return Connected(std::move(transport));
    co_return Connected(
        fail(std::move(greeted).error().context("no TLS with {}", to_string(endpoint))));
  }
  co_return Connected(fail(ErrorCode::unavailable, "cannot connect to {}: {}", to_string(endpoint),
                           error.message()));
}

// Owns the client of an io_context; the context destroys it.
class ClientService final : public boost::asio::execution_context::service {
 public:
  static boost::asio::execution_context::id id;

  explicit ClientService(boost::asio::execution_context& context)
      : service(context), client(std::make_unique<Client>(static_cast<IoContext&>(context))) {}

  std::unique_ptr<Client> client;

 private:
  void shutdown() override { client.reset(); }
};

boost::asio::execution_context::id ClientService::id;

}  // namespace

Task<Result<std::shared_ptr<Transport>>> connect_to(Peer peer, Duration limit) {
  std::string what = "connecting to " + to_string(peer.endpoint);
  return with_deadline(try_connect(std::move(peer)), limit, std::move(what));
}

Client::State::State(IoContext& io_context, ClientOptions client_options)
    : context(io_context), options(client_options), timer_(io_context) {
  // The context shuts services down in reverse order: those of sockets must be older than ours.
  const Socket socket(io_context);
}

std::shared_ptr<Transport> Client::State::take(const Peer& peer) {
  const auto found = pool.find(peer);
  std::shared_ptr<Transport> transport;
  while (!transport && found != pool.end() && !found->second.empty()) {
    Kept kept = std::move(found->second.back());
    found->second.pop_back();
    const bool young = std::chrono::steady_clock::now() - kept.since < options.idle_expiry;
    if (young && kept.transport->is_quiet()) {
      transport = std::move(kept.transport);
    } else {
      kept.transport->close();
    }
  }
  if (found != pool.end() && found->second.empty()) pool.erase(found);
  return transport;
}

void Client::State::keep(const Peer& peer, std::shared_ptr<Transport> transport) {
  // Whether it is still good is asked when it is taken.
  if (shut_down_ || !transport->is_open() || transport->peer_closed()) {
    transport->close();
    return;
  }
  auto& kept = pool[peer];
  kept.push_back({std::move(transport), std::chrono::steady_clock::now()});
  if (kept.size() > options.max_idle_per_endpoint) {
    kept.front().transport->close();
    kept.pop_front();
  }
  if (!timer_runs_ && !pool.empty()) expire();
}

// Runs only while connections are kept, so an idle program is not woken.
void Client::State::expire() {
  const SteadyTime now = std::chrono::steady_clock::now();
  SteadyTime next = SteadyTime::max();
  for (auto it = pool.begin(); it != pool.end();) {
    auto& kept = it->second;
    while (!kept.empty() && kept.front().since + options.idle_expiry <= now) {
      kept.front().transport->close();
      kept.pop_front();
    }
    if (!kept.empty()) next = std::min(next, kept.front().since + options.idle_expiry);
    it = kept.empty() ? pool.erase(it) : std::next(it);
  }
  timer_runs_ = next != SteadyTime::max();
  if (!timer_runs_) return;
  timer_.expires_at(next);
  timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
    const auto self = weak.lock();
    if (self && !error) self->expire();
  });
}

void Client::State::shut_down() {
  shut_down_ = true;
  timer_.cancel();
  pool.clear();
}

Client::Client(IoContext& context, ClientOptions options)
    : state_(std::make_shared<State>(context, options)) {}

Client::~Client() { state_->shut_down(); }

Client& Client::of(IoContext& context) {
  return *boost::asio::use_service<ClientService>(context).client;
}

std::size_t Client::idle_connections() const {
  std::size_t count = 0;
  for (const auto& [peer, kept] : state_->pool) count += kept.size();
  return count;
}

}  // namespace berth::net
