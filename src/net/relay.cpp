#include "net/relay.h"

#include <utility>

namespace berth::net {

Task<Result<void>> relay_answer(Exchange& exchange, ClientResponse answer, Duration idle) {
  exchange.on_client_gone([&answer] { answer.abort(); });
  Headers headers = answer.headers();
  headers.erase_hop_by_hop();
  auto done = co_await exchange.start(answer.status(), std::move(headers));
  while (done) {
    const auto piece = co_await answer.read_some(idle);
    if (!piece) {
      done = fail(Error(piece.error()));
      break;
    }
    if (!*piece) {
      done = co_await exchange.finish();
      break;
    }
    done = co_await exchange.write(**piece);
  }
  exchange.on_client_gone({});
  co_return done;
}

}  // namespace berth::net
