// What the listeners of a worker's processes (agent, proxy) share.
#pragma once

#include "base/result.h"
#include "net/exchange.h"

#include <string_view>

namespace berth::worker {

// Fails with unauthenticated unless the request shows `key`; an empty one opens nothing. Takes the
// same time whatever it shows.
Result<void> check_key(const net::Request& request, std::string_view key);

// GET /health: {"status": "ok"}, for everybody.
net::Task<> serve_health(net::Exchange& exchange);

// SIGINT, SIGTERM or SIGHUP, all of which must be blocked in every thread. Blocks until one comes.
int wait_for_signal();

}  // namespace berth::worker
