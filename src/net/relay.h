// Relay: passing a message on, as proxies do.
#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "net/client.h"
#include "net/exchange.h"
#include "net/headers.h"

namespace berth::net {

// The fields that concern more than one connection (RFC 9110, 7.6.1): without Connection and what
// it names, Keep-Alive, Proxy-*, TE, Trailer, Transfer-Encoding, Upgrade, and Host and Expect,
// which the next hop gets anew.
Headers end_to_end_headers(const Headers& headers);

// Passes an answer on as it comes. A client that leaves ends the answer; an answer that breaks off
// cuts the client's connection, so that nobody takes the piece for the whole. `idle` is the longest
// wait for a piece.
Task<Result<void>> relay_answer(Exchange& exchange, ClientResponse answer, Duration idle);

}  // namespace berth::net
