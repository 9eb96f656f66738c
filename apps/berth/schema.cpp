// berth schema: JSON schemas of the files that people write.
#include "command.h"
#include "server/schemas.h"
#include "terminal.h"

#include <memory>

namespace berth::app {

void add_schema(CLI::App& app, const CommonOptions&, Command& command) {
  auto* schema = app.add_subcommand("schema", "Print the JSON schema of a file, for editors");
  auto what = std::make_shared<std::string>();
  schema
      ->add_option("WHAT", *what,
                   "deployment (what berth apply reads) or settings (berth.yaml of the server)")
      ->required()
      ->check(CLI::IsMember({"deployment", "settings"}));
  schema->footer("Example: berth schema deployment > deployment.schema.json");
  schema->callback([&command, what] {
    command = [what] {
      print_json(*what == "deployment" ? server::deployment_schema() : server::settings_schema());
      return kDone;
    };
  });
}

}  // namespace berth::app
