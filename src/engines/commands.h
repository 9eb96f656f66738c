// CommandRunner: how this module starts programs (uv, pip, an engine's --version), so that tests
// can answer in their place.
#pragma once

#include "base/result.h"
#include "process/spawn.h"

namespace berth::engines {

class CommandRunner {
 public:
  virtual ~CommandRunner() = default;
  // As process::run.
  virtual Result<process::RunOutput> run(process::SpawnOptions options, process::RunLimits limits,
                                         const process::OnLine& on_line) = 0;
};

// The one that really runs them (process::run). Thread-safe; lives as long as the program.
CommandRunner& real_commands();

}  // namespace berth::engines
