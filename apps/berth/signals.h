// The signals of the long-running commands.
#pragma once

#include <signal.h>

namespace berth::app {

// Blocks SIGINT, SIGTERM and SIGHUP, which arrive by sigwait on the main thread; every thread
// started later inherits the mask. Ignores SIGPIPE. Returns what was blocked.
inline sigset_t block_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, signal);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signal(SIGPIPE, SIG_IGN);
  return set;
}

}  // namespace berth::app
