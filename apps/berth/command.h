// What every command shares: the options that all have, exit codes, and errors on standard error.
#pragma once

#include "base/json.h"
#include "base/result.h"

#include <functional>
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

// The end of a command that changed something: the server's answer with --json, else the sentence.
Result<void> finish(const CommonOptions& common, const json::value& answer,
                    const std::string& sentence);

// Each adds its subcommands to `app`; the one that was called puts its work into `command`.
void add_serve(CLI::App& app, const CommonOptions& common, Command& command);
void add_worker(CLI::App& app, const CommonOptions& common, Command& command);
void add_proxy(CLI::App& app, Command& command);
void add_inspect(CLI::App& app, const CommonOptions& common, Command& command);
void add_deploy(CLI::App& app, const CommonOptions& common, Command& command);
void add_run(CLI::App& app, const CommonOptions& common, Command& command);
void add_lists(CLI::App& app, const CommonOptions& common, Command& command);  // ps, models …
void add_devices(CLI::App& app, const CommonOptions& common, Command& command);
void add_changes(CLI::App& app, const CommonOptions& common, Command& command);  // scale, stop, rm
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
