#include "engines/commands.h"

namespace berth::engines {

namespace {

class RealCommands final : public CommandRunner {
 public:
  Result<process::RunOutput> run(process::SpawnOptions options, process::RunLimits limits,
                                 const process::OnLine& on_line) override {
    return process::run(std::move(options), std::move(limits), on_line);
  }
};

}  // namespace

CommandRunner& real_commands() {
  static RealCommands commands;
  return commands;
}

}  // namespace berth::engines
