#include "worker/listener.h"

#include "base/ids.h"

#include <csignal>

#include <signal.h>

namespace berth::worker {

Result<void> check_key(const net::Request& request, std::string_view key) {
  if (!key.empty() && equal_constant_time(request.bearer_token(), key)) return {};
  return fail(ErrorCode::unauthenticated, "the key is not this worker's");
}

net::Task<> serve_health(net::Exchange& exchange) {
  co_await exchange.respond(net::json_response(200, {{"status", "ok"}}));
}

int wait_for_signal() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, signal);
  int signal = 0;
  while (sigwait(&set, &signal) != 0) {
  }
  return signal;
}

}  // namespace berth::worker
