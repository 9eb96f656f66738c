// Starting the engine: its session, its limits, its environment, its output.
#pragma once

#include "process/shim_spec.h"

#include <cstdint>
#include <string>
#include <sys/types.h>

namespace berth::shim {

struct Engine {
  pid_t pid = 0;                 // 0 if it could not be started
  int output = -1;               // read end of its stdout and stderr, non-blocking
  std::string error;             // one line, if it could not be started
  std::uint64_t core_limit = 0;  // RLIMIT_CORE that it has
};

// Runs the program of `spec` in a session of its own. It dies with this process (PDEATHSIG), dumps
// no core, has no descriptors but its three streams and exactly the environment of `spec` and the
// tags. Returns when it is executed or has failed to be.
Engine start_engine(const berth::process::ShimSpec& spec);

}  // namespace berth::shim
