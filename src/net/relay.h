// Relay: passing a message on, as proxies do.
#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "net/client.h"
#include "net/exchange.h"

namespace berth::net {

// Passes an answer on as it comes. A client that leaves ends the answer; an answer that breaks off
// cuts the client's connection, so that nobody takes the piece for the whole. `idle` is the longest
// wait for a piece.
Task<Result<void>> relay_answer(Exchange& exchange, ClientResponse answer, Duration idle);

}  // namespace berth::net
