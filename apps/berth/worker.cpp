// berth worker: this machine's agent.
#include "base/log.h"
#include "command.h"
#include "process/platform/parent.h"
#include "signals.h"
#include "worker/agent.h"

#include <filesystem>
#include <memory>

namespace berth::app {
namespace {

struct WorkerFlags {
  bool local = false;
  bool leave_engines = false;
  pid_t parent = 0;
  std::string name;
  std::string log_level = "info";
  std::string download_limit;
};

int run(const CommonOptions& common, const WorkerFlags& flags) {
  const auto result = [&]() -> Result<void> {
    if (!flags.local) {
      return fail(ErrorCode::unsupported,
                  "this version runs the worker of the server's own machine only (--local), which "
                  "berth serve starts by itself");
    }
    BERTH_TRY(const DataFolder data, find_data_folder(common.data));
    std::optional<Bytes> limit;
    if (!flags.download_limit.empty()) {
      BERTH_TRY(limit, parse_bytes(flags.download_limit));
    }
    block_signals();
    // A server that dies takes its worker along, and leaves the engines to the next one.
    if (flags.parent != 0) process::signal_at_end_of_parent(SIGHUP, flags.parent);
    start_logging("worker", flags.log_level);
    const auto program = std::filesystem::read_symlink("/proc/self/exe");
    return worker::run_agent({.data = data,
                              .local = true,
                              .leave_engines = flags.leave_engines,
                              .name = flags.name,
                              .version = BERTH_VERSION,
                              .shim_program = program.parent_path() / "berth-shim",
                              .program = program,
                              .download_limit = limit});
  }();
  return result ? kDone : report(result.error());
}

}  // namespace

void add_worker(CLI::App& app, const CommonOptions& common, Command& command) {
  auto* worker = app.add_subcommand("worker", "Run this machine's worker (berth serve starts it)");
  auto flags = std::make_shared<WorkerFlags>();
  worker->add_flag("--local", flags->local, "Belong to the server on this machine");
  worker->add_flag("--leave-engines", flags->leave_engines, "Engines go on when the worker ends");
  worker->add_option("--parent", flags->parent, "")->group("");  // set by berth serve
  worker->add_option("--name", flags->name, "The worker's name (the host's)");
  worker->add_option("--download-limit", flags->download_limit,
                     "Bytes a second of all downloads, such as 50MiB (no limit)");
  worker->add_option("--log-level", flags->log_level, "trace, debug, info, warn or error")
      ->check(CLI::IsMember({"trace", "debug", "info", "warn", "error"}));
  worker->callback(
      [&common, &command, flags] { command = [&common, flags] { return run(common, *flags); }; });
}

}  // namespace berth::app
