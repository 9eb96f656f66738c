// berth worker: this machine's agent.
#include "backends/environment.h"
#include "base/files.h"
#include "base/log.h"
#include "command.h"
#include "process/platform/parent.h"
#include "signals.h"
#include "worker/agent.h"

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <spdlog/spdlog.h>

namespace berth::app {
namespace {

struct WorkerFlags {
  bool local = false;
  std::string token;
  std::string token_file;
  std::string listen = "0.0.0.0:8444";
  std::string advertise;
  bool leave_engines = false;
  pid_t parent = 0;
  std::string name;
  std::string log_level = "info";
  std::string download_limit;
  std::uint32_t keep_logs = 10;
  std::vector<std::string> allow_env;
  std::vector<std::string> rpc_devices;
};

constexpr std::uint16_t kWorkerPort = 8444;

// The flag, the file that a flag names, or BERTH_TOKEN; empty where none is given.
Result<std::string> read_token(const WorkerFlags& flags) {
  if (!flags.token.empty()) return flags.token;
  if (!flags.token_file.empty()) {
    auto text = read_word(flags.token_file);
    if (!text) return fail(std::move(text).error().with_field("token-file"));
    return text;
  }
  const char* variable = std::getenv("BERTH_TOKEN");
  return std::string(variable == nullptr ? "" : variable);
}

int run(const CommonOptions& common, const WorkerFlags& flags) {
  const auto result = [&]() -> Result<void> {
    BERTH_TRY(const std::string token, read_token(flags));
    auto listen = flags.local ? Result<net::Endpoint>(net::Endpoint{"127.0.0.1", 0})
                              : net::parse_endpoint(flags.listen, kWorkerPort);
    if (!listen) return fail(std::move(listen).error().with_field("listen"));
    BERTH_TRY(const DataFolder data, find_data_folder(common.data));
    std::optional<Bytes> limit;
    if (!flags.download_limit.empty()) {
      BERTH_TRY(limit, parse_bytes(flags.download_limit));
    }
    BERTH_CHECK(backends::check_allowed(backends::builtin_backends(), flags.allow_env));
    block_signals();
    // A server that dies takes its worker along, and leaves the engines to the next one.
    if (flags.parent != 0) process::signal_at_end_of_parent(SIGHUP, flags.parent);
    start_logging("worker", flags.log_level);
    std::error_code ignored;  // keep_log tells
    std::filesystem::create_directories(data.logs(), ignored);
    if (const auto kept = keep_log(data.logs() / "worker.log"); !kept) {
      spdlog::warn("{}", kept.error().to_string());
    }
    std::vector<Bytes> rpc_devices;
    for (const auto& text : flags.rpc_devices) {
      auto memory = parse_bytes(text);
      if (!memory) return fail(std::move(memory).error().with_field("rpc-device"));
      rpc_devices.push_back(*memory);
    }
    const auto program = std::filesystem::read_symlink("/proc/self/exe");
    return worker::run_agent({.data = data,
                              .local = flags.local,
                              .leave_engines = flags.leave_engines,
                              .name = flags.name,
                              .server = flags.local ? "" : common.server.value_or(""),
                              .token = token,
                              .listen = *listen,
                              .advertise = flags.advertise,
                              .version = BERTH_VERSION,
                              .shim_program = program.parent_path() / "berth-shim",
                              .program = program,
                              .download_limit = limit,
                              .kept_logs = flags.keep_logs,
                              .allowed_env = flags.allow_env,
                              .rpc_devices = std::move(rpc_devices)});
  }();
  return result ? kDone : report(result.error());
}

}  // namespace

void add_worker(CLI::App& app, const CommonOptions& common, Command& command) {
  auto* worker = app.add_subcommand(
      "worker", "Let this machine serve models for a server elsewhere (see berth token create)");
  auto flags = std::make_shared<WorkerFlags>();
  worker->add_flag("--local", flags->local,
                   "Belong to the server on this machine (berth serve starts it)");
  worker->add_option("--token", flags->token,
                     "Token to join with, the first time (BERTH_TOKEN, --token-file)");
  worker->add_option("--token-file", flags->token_file, "File that holds the token");
  worker->add_option("--listen", flags->listen,
                     "Address and port for the server's requests (0.0.0.0:8444)");
  worker->add_option("--advertise", flags->advertise,
                     "Address, or address:port, by which the server reaches them (found out)");
  worker->footer("Example: berth worker --server https://10.0.0.5:8443 --token ...");
  worker->add_flag("--leave-engines", flags->leave_engines, "Engines go on when the worker ends");
  worker->add_option("--parent", flags->parent, "")->group("");  // set by berth serve
  worker->add_option("--name", flags->name, "The worker's name (the host's)");
  worker->add_option("--download-limit", flags->download_limit,
                     "Bytes a second of all downloads, such as 50MiB (no limit)");
  worker
      ->add_option("--keep-logs", flags->keep_logs,
                   "How many logs of an instance are kept, one for each start of its engine (10)")
      ->check(CLI::Range(1, 1000));
  worker->add_option("--allow-env", flags->allow_env,
                     "A variable that deployments may set although it could run other code, such "
                     "as LD_PRELOAD; may be repeated");
  worker->add_option("--rpc-device", flags->rpc_devices,
                     "Main memory, such as 512MiB, that stands for a GPU which this machine's CPU "
                     "computes for, alone or with other workers; may be repeated");
  worker->add_option("--log-level", flags->log_level, "trace, debug, info, warn or error")
      ->check(CLI::IsMember({"trace", "debug", "info", "warn", "error"}));
  worker->callback(
      [&common, &command, flags] { command = [&common, flags] { return run(common, *flags); }; });
}

}  // namespace berth::app
