// berth shutdown: ends the server of the data folder, with its engines.
#include "background_server.h"
#include "command.h"
#include "terminal.h"

#include <fmt/format.h>

namespace berth::app {
namespace {

int run(const CommonOptions& common) {
  const auto stopped = [&]() -> Result<server::ServerInfo> {
    BERTH_TRY(const DataFolder data, find_data_folder(common.data));
    return stop_server(data);
  }();
  if (!stopped) return report(stopped.error());
  if (common.json)
    print_json({{"pid", stopped->pid}, {"url", stopped->url}, {"ended", true}});
  else
    fmt::print("The server on {} has ended.\n", stopped->url);
  return kDone;
}

}  // namespace

void add_shutdown(CLI::App& app, const CommonOptions& common, Command& command) {
  auto* shutdown =
      app.add_subcommand("shutdown", "End the server of the data folder, and its engines");
  shutdown->footer("Example: berth shutdown");
  shutdown->callback([&common, &command] { command = [&common] { return run(common); }; });
}

}  // namespace berth::app
