// The program: reads the arguments, runs the command that was named, and turns what went wrong into
// a line on standard error and an exit code.
#include "api_client.h"
#include "command.h"
#include "terminal.h"

#include <algorithm>
#include <cstdio>
#include <exception>
#include <iterator>
#include <string>
#include <vector>

#include <fmt/format.h>

namespace berth::app {
namespace {

constexpr std::string_view kFooter =
    "First steps:\n"
    "  berth run ./model.gguf \"Once upon a time\"   deploys the model and answers\n"
    "  berth ps                                    shows what runs\n"
    "Each command explains itself: berth COMMAND --help";

// The commands that pass flags on to an engine.
constexpr std::string_view kWithEngineFlags[] = {"inspect", "deploy", "plan", "run"};

void add_common_options(CLI::App& app, CommonOptions& common) {
  app.add_option("--data", common.data, "Data folder (BERTH_DATA; ~/.local/share/berth)");
  app.add_option("--server", common.server, "URL of the server (BERTH_SERVER; the one found)");
  app.add_option("--api-key", common.api_key, "API key; better in BERTH_API_KEY");
  app.add_flag("--json", common.json, "Print JSON, for programs");
}

void add_version(CLI::App& app, const CommonOptions& common, Command& command) {
  auto* version = app.add_subcommand("version", "Print the version");
  version->footer("Example: berth version --json");
  version->callback([&common, &command] {
    command = [&common] {
      if (common.json)
        print_json({{"version", BERTH_VERSION}});
      else
        fmt::print("berth {}\n", BERTH_VERSION);
      return kDone;
    };
  });
}

int report_usage(const std::string& message) {
  fmt::print(stderr, "berth: {}\nSee berth --help, or berth COMMAND --help.\n", printable(message));
  return kUsage;
}

int parse_and_run(std::vector<std::string> arguments) {
  CommonOptions common;
  const auto dashes = std::find(arguments.begin(), arguments.end(), "--");
  const bool has_engine_flags = dashes != arguments.end();
  if (has_engine_flags) {
    common.engine_flags.assign(std::next(dashes), arguments.end());
    arguments.erase(dashes, arguments.end());
  }

  Command command;
  CLI::App app("Places AI models on machines and serves them behind one OpenAI-compatible API.",
               "berth");
  app.fallthrough();
  app.require_subcommand(0, 1);
  app.set_version_flag("--version", "berth " BERTH_VERSION);
  app.footer(std::string(kFooter));
  add_common_options(app, common);
  add_run(app, common, command);
  add_inspect(app, common, command);
  add_deploy(app, common, command);
  add_plan(app, common, command);
  add_sim(app, common, command);
  add_deployment_files(app, common, command);
  add_edit(app, common, command);
  add_changes(app, common, command);
  add_rollout(app, common, command);
  add_lists(app, common, command);
  add_devices(app, common, command);
  add_logs(app, common, command);
  add_engines(app, common, command);
  add_files(app, common, command);
  add_keys(app, common, command);
  add_members(app, *app.get_subcommand("workers"), common, command);
  add_docs(app, common, command);
  add_schema(app, common, command);
  add_serve(app, common, command);
  add_shutdown(app, common, command);
  add_worker(app, common, command);
  add_proxy(app, command);
  add_version(app, common, command);
  try {
    std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them from the back
    app.parse(arguments);
  } catch (const CLI::Success& wish) {  // --help and --version
    return app.exit(wish);
  } catch (const CLI::ParseError& error) {
    return report_usage(error.what());
  }
  if (!command) {
    fmt::print("{}", app.help());
    return kDone;
  }
  const std::string name = app.get_subcommands().front()->get_name();
  if (has_engine_flags && std::find(std::begin(kWithEngineFlags), std::end(kWithEngineFlags),
                                    name) == std::end(kWithEngineFlags)) {
    return report_usage("berth " + name + " takes no engine flags, so nothing may follow \"--\"");
  }
  return command();
}

}  // namespace

Result<void> finish(const CommonOptions& common, const json::value& answer,
                    const std::string& sentence) {
  if (common.json)
    print_json(answer);
  else
    fmt::print("{}\n", sentence);
  return {};
}

Result<void> show(const CommonOptions& common, const std::string& target,
                  Result<void> (*print)(const json::value& answer)) {
  BERTH_TRY(const auto client, ApiClient::connect(common));
  BERTH_TRY(const auto answer, client.get(target));
  if (!common.json) return print(answer);
  print_json(answer);
  return {};
}

int report(const Error& error) {
  fmt::print(stderr, "berth: {}\n", printable_lines(error.to_string()));
  const bool usage =
      error.code == ErrorCode::invalid_parameter || error.code == ErrorCode::invalid_request;
  return usage ? kUsage : kFailed;
}

int report_input(const Error& error) {
  const int code = report(error);
  const bool input = error.code == ErrorCode::not_found || error.code == ErrorCode::corrupt ||
                     error.code == ErrorCode::unsupported || error.code == ErrorCode::too_large;
  return input ? kUsage : code;
}

}  // namespace berth::app

int main(int argc, char** argv) {
  try {
    return berth::app::parse_and_run(
        std::vector<std::string>(argv + std::min(argc, 1), argv + argc));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "berth: internal error: %s\n", error.what());
    return berth::app::kFailed;
  }
}
