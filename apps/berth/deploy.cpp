// berth deploy: from flags to a deployment, and waiting for it.
#include "command.h"
#include "deploy_request.h"
#include "deployment_flags.h"
#include "sources/hub/name.h"
#include "terminal.h"
#include "wait.h"

#include <cstdio>
#include <memory>

#include <fmt/format.h>

namespace berth::app {
namespace {

struct DeployFlags {
  std::string name;
  std::string model;
  DeploymentFlags deployment;
  bool no_wait = false;
  std::string timeout = "30m";
};

void print_outcome(const ModelView& model) {
  if (model.replicas == 0) {
    fmt::print("{} is deployed without instances: berth scale {} 1\n", model.name, model.name);
  } else if (model.ready < model.replicas) {
    fmt::print("{} is deployed; see berth ps\n", model.name);
  } else {
    fmt::print("{} is ready with {}. Ask it: berth run {} \"Once upon a time\"\n", model.name,
               counted(model.ready, "instance"), model.name);
  }
}

void tell_where_it_was_read(const ModelView& model) {
  if (sources::is_hub_name(model.deployment.source)) {
    fmt::print(stderr, "berth: {} of {} was chosen; its worker fetches it\n",
               printable(model.profile.quantization), printable(model.deployment.source));
    return;
  }
  const std::string where =
      model.read_by.empty() ? "the server's machine" : "the worker " + model.read_by;
  fmt::print(stderr, "berth: {} was read on {}\n", printable(model.deployment.source), where);
}

Result<void> deploy(const CommonOptions& common, const DeployFlags& flags) {
  BERTH_TRY(const auto timeout, parse_timeout(flags.timeout));
  BERTH_TRY(const auto client, ApiClient::connect(common));
  // Whether it is there is for the workers to say: one of them has it, not this machine.
  BERTH_TRY(const auto source, absolute_source(flags.model, false));
  BERTH_TRY(const auto deployment, with_flags({.name = flags.name, .source = source},
                                              flags.deployment, common.engine_flags));
  BERTH_TRY(auto answer, create_model(client, deployment));
  BERTH_TRY(const auto accepted, read_answer<ModelView>(answer));
  tell_where_it_was_read(accepted);
  if (!flags.no_wait) {
    BERTH_TRY(answer, wait_until_ready(client, deployment.name, timeout));
  }
  BERTH_TRY(const auto model, read_answer<ModelView>(answer));
  print_warnings(client, model);
  if (common.json)
    print_json(answer);
  else
    print_outcome(model);
  return {};
}

void add_flags(CLI::App& deploy, DeployFlags& flags) {
  deploy.add_option("NAME", flags.name, "The name that requests use")->required();
  deploy
      .add_option(
          "--model", flags.model,
          "The model's file or folder (or a glob such as \"./m/*.gguf\"), or its name on a hub "
          "(hf:ORG/NAME)")
      ->required();
  add_deployment_flags(deploy, flags.deployment);
  deploy.add_flag("--no-wait", flags.no_wait, "Do not wait until it is ready");
  deploy.add_option("--timeout", flags.timeout, "Longest wait, such as 90s; 0 for none (30m)");
}

}  // namespace

void add_deploy(CLI::App& app, const CommonOptions& common, Command& command) {
  auto* subcommand = app.add_subcommand("deploy", "Deploy a model and wait until it is ready");
  auto flags = std::make_shared<DeployFlags>();
  add_flags(*subcommand, *flags);
  subcommand->footer(
      "What follows \"--\" are flags for the engine; berth docs backend NAME explains them.\n"
      "Example: berth deploy chat --model ./model.gguf --replicas 2 -- --ctx-size 16384");
  subcommand->callback([&common, &command, flags] {
    command = [&common, flags] {
      const auto result = deploy(common, *flags);
      return result ? kDone : report(result.error());
    };
  });
}

}  // namespace berth::app
