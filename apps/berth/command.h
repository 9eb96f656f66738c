// What every command shares: the options that all have, exit codes, and errors on standard error.
#pragma once

#include "base/json.h"
#include "base/result.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace berth::app {

inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;
inline constexpr int kUsage = 2;

// Options in front of, or behind, any command.
struct CommonOptions {
  std::optional<std::string> data;     // --data, the data folder
  std::optional<std::string> server;   // --server, a URL
  std::optional<std::string> api_key;  // --api-key; better by BERTH_API_KEY
  bool json = false;                   // --json, for programs
  // What follows "--": flags for the engine, as on its own command line.
  std::vector<std::string> engine_flags;
};

// A command to run once all arguments are read; returns the exit code.
using Command = std::function<int()>;

// Prints "berth: message: cause" on standard error and returns the exit code: 2 where a flag or
// field of the user's is wrong, else 1.
int report(const Error& error);
// As `report`; what can not be read is bad input too: for commands that read files which the user
// names.
int report_input(const Error& error);

// The end of a command that changed something: the server's answer with --json, else the sentence.
Result<void> finish(const CommonOptions& common, const json::value& answer,
                    const std::string& sentence);

// Adds a subcommand that carries out `action(common, *flags)`; its options are for the caller to
// add.
template <class Flags>
CLI::App* add_action(CLI::App& parent, const CommonOptions& common, Command& command,
                     const std::shared_ptr<Flags>& flags, const char* name, const char* text,
                     Result<void> (*action)(const CommonOptions&, const Flags&)) {
  auto* subcommand = parent.add_subcommand(name, text);
  subcommand->callback([&common, &command, flags, action] {
    command = [&common, flags, action] {
      const auto result = action(common, *flags);
      return result ? kDone : report(result.error());
    };
  });
  return subcommand;
}

// What the server answers to a GET of `target`: as JSON with --json, else as `print` has it.
Result<void> show(const CommonOptions& common, const std::string& target,
                  Result<void> (*print)(const json::value& answer));

// Each adds its subcommands to `app`; the one that was called puts its work into `command`.
void add_serve(CLI::App& app, const CommonOptions& common, Command& command);
void add_worker(CLI::App& app, const CommonOptions& common, Command& command);
void add_proxy(CLI::App& app, Command& command);
void add_inspect(CLI::App& app, const CommonOptions& common, Command& command);
void add_deploy(CLI::App& app, const CommonOptions& common, Command& command);
void add_plan(CLI::App& app, const CommonOptions& common, Command& command);
void add_sim(CLI::App& app, const CommonOptions& common, Command& command);
void add_run(CLI::App& app, const CommonOptions& common, Command& command);
void add_lists(CLI::App& app, const CommonOptions& common, Command& command);  // ps, models …
void add_devices(CLI::App& app, const CommonOptions& common, Command& command);
void add_changes(CLI::App& app, const CommonOptions& common, Command& command);  // scale, stop, rm
void add_rollout(CLI::App& app, const CommonOptions& common, Command& command);
void add_deployment_files(CLI::App& app, const CommonOptions& common, Command& command);
void add_edit(CLI::App& app, const CommonOptions& common, Command& command);
void add_schema(CLI::App& app, const CommonOptions& common, Command& command);
void add_logs(CLI::App& app, const CommonOptions& common, Command& command);
void add_engines(CLI::App& app, const CommonOptions& common, Command& command);
void add_files(CLI::App& app, const CommonOptions& common, Command& command);
// token, and what `workers` can do besides.
void add_members(CLI::App& app, CLI::App& workers, const CommonOptions& common, Command& command);
void add_keys(CLI::App& app, const CommonOptions& common, Command& command);
void add_shutdown(CLI::App& app, const CommonOptions& common, Command& command);
void add_docs(CLI::App& app, const CommonOptions& common, Command& command);

}  // namespace berth::app
