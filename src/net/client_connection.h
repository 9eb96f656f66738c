// What a client and its answers share: the pool of kept connections. Internal to net.
#pragma once

#include "net/client.h"
#include "net/message_parser.h"
#include "net/transport.h"

#include <deque>
#include <map>
#include <memory>

namespace berth::net {

// Where a connection leads, and with whom it speaks.
struct Peer {
  Endpoint endpoint;
  TlsPeer tls;

  friend auto operator<=>(const Peer&, const Peer&) = default;
};

// One executor only.
struct Client::State : std::enable_shared_from_this<Client::State> {
  struct Kept {
    std::shared_ptr<Transport> transport;
    SteadyTime since;
  };

  State(IoContext& io_context, ClientOptions client_options);

  // A kept connection that is still good, the youngest first; null where there is none.
  std::shared_ptr<Transport> take(const Peer& peer);
  void keep(const Peer& peer, std::shared_ptr<Transport> transport);
  // Closes what is kept; the state keeps nothing afterwards.
  void shut_down();

  IoContext& context;
  ClientOptions options;
  std::map<Peer, std::deque<Kept>> pool;  // the oldest in front

 private:
  void expire();

  Timer timer_;
  bool timer_runs_ = false;
  bool shut_down_ = false;
};

struct ClientResponse::State {
  std::shared_ptr<Transport> transport;
  std::unique_ptr<ResponseParser> parser;
  std::weak_ptr<Client::State> client;
  Peer peer;
  std::size_t held = 0;  // bytes of the input under the piece that was given out
  bool ended = false;
  bool aborted = false;

  // The next piece of the body, or its end, where the bytes for it are here already.
  std::optional<Result<BodyPiece>> ready_piece();
  // The answer is complete: the connection goes back, or closes.
  void end();
};

// Resolves and connects. unavailable, timeout or unauthenticated, naming the endpoint.
Task<Result<std::shared_ptr<Transport>>> connect_to(Peer peer, Duration limit);

}  // namespace berth::net
