// berth proxy: the way from servers to the engines of this machine. Started by the worker.
#include "worker/proxy.h"

#include "base/log.h"
#include "command.h"
#include "signals.h"

#include <memory>
#include <string>

namespace berth::app {

void add_proxy(CLI::App& app, Command& command) {
  auto* proxy = app.add_subcommand(
      "proxy", "Pass requests on to this machine's engines (berth worker starts it)");
  auto file = std::make_shared<std::string>();
  proxy->add_option("--file", *file, "What the worker tells it: port, key and routes")->required();
  proxy->callback([&command, file] {
    command = [file] {
      block_signals();
      start_logging("proxy", "info");
      const auto result = worker::run_proxy(*file);
      return result ? kDone : report(result.error());
    };
  });
}

}  // namespace berth::app
