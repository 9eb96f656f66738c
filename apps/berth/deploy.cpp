// berth deploy: from flags to a deployment, and waiting for it.
#include "command.h"
#include "deploy_request.h"
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
  std::optional<std::uint32_t> replicas;
  std::optional<std::uint32_t> readiness_timeout;
  std::optional<std::string> memory_limit;
  std::optional<std::string> backend;
  std::optional<std::string> backend_version;
  std::vector<std::string> categories;
  std::vector<std::string> env;
  std::vector<std::string> worker_selector;
  std::vector<std::string> devices;
  std::optional<std::string> cpu_offload;
  bool cpu_when_full = false;
  std::optional<std::string> distributed;
  std::optional<std::string> placement;
  std::optional<std::string> update;
  std::optional<std::string> vram;
  std::optional<std::string> ram;
  std::optional<std::string> restart;
  std::optional<std::uint32_t> max_failures;
  bool no_wait = false;
  std::string timeout = "30m";
};

Result<json::object> read_pairs(const std::vector<std::string>& pairs, std::string_view flag) {
  json::object object;
  for (const auto& pair : pairs) {
    const auto equals = pair.find('=');
    if (equals == std::string::npos || equals == 0) {
      return fail(ErrorCode::invalid_parameter, "{} must be written as NAME=VALUE (got \"{}\")",
                  flag, pair);
    }
    object[pair.substr(0, equals)] = pair.substr(equals + 1);
  }
  return object;
}

json::array to_array(const std::vector<std::string>& texts) {
  json::array array;
  for (const auto& text : texts) array.emplace_back(json::string(text));
  return array;
}

template <class T>
void put(json::object& object, std::string_view member, const std::optional<T>& value) {
  if (value) object[member] = to_json(*value);
}

// The flags go the way that an API request goes, so that both are checked alike.
Result<model::Deployment> read_deployment(const DeployFlags& flags, const std::string& source,
                                          const std::vector<std::string>& engine_flags) {
  json::object document{{"name", flags.name},
                        {"source", source},
                        {"categories", to_array(flags.categories)},
                        {"parameters", to_array(engine_flags)},
                        {"devices", to_array(flags.devices)}};
  BERTH_TRY(document["env"], read_pairs(flags.env, "--env"));
  BERTH_TRY(document["worker_selector"], read_pairs(flags.worker_selector, "--worker-selector"));
  put(document, "replicas", flags.replicas);
  put(document, "backend", flags.backend);
  put(document, "backend_version", flags.backend_version);
  put(document, "cpu_offload", flags.cpu_offload);
  if (flags.cpu_when_full) document["cpu_when_full"] = true;
  put(document, "distributed", flags.distributed);
  put(document, "placement", flags.placement);
  put(document, "update", flags.update);
  put(document, "readiness_timeout", flags.readiness_timeout);
  put(document, "memory_limit", flags.memory_limit);
  if (flags.vram || flags.ram) {
    json::object claim;
    put(claim, "vram", flags.vram);
    put(claim, "ram", flags.ram);
    document["claim"] = std::move(claim);
  }
  json::object restart;
  put(restart, "policy", flags.restart);
  put(restart, "max_failures", flags.max_failures);
  document["restart"] = std::move(restart);
  BERTH_TRY(auto deployment, from_json<model::Deployment>(document, UnknownMembers::refuse));
  BERTH_CHECK(model::validate(deployment));
  return deployment;
}

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
  BERTH_TRY(const auto deployment, read_deployment(flags, source, common.engine_flags));
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
  const auto add_list = [&](const char* name, std::vector<std::string>& to, const char* text) {
    deploy.add_option(name, to, text)->allow_extra_args(false);
  };
  deploy.add_option("NAME", flags.name, "The name that requests use")->required();
  deploy
      .add_option(
          "--model", flags.model,
          "The model's file or folder (or a glob such as \"./m/*.gguf\"), or its name on a hub "
          "(hf:ORG/NAME)")
      ->required();
  deploy.add_option("--replicas", flags.replicas, "How many instances (1)");
  deploy.add_option("--backend", flags.backend, "The backend (chosen from the files)");
  deploy.add_option("--backend-version", flags.backend_version, "The engine pack's version");
  add_list("--category", flags.categories, "What it is for: llm, embedding, reranker …");
  add_list("--env", flags.env, "NAME=VALUE for the engine; repeat it for more");
  add_list("--worker-selector", flags.worker_selector, "LABEL=VALUE that a worker must have");
  add_list("--device", flags.devices, "WORKER:DEVICE to use, such as box1:cuda:0");
  deploy.add_option("--cpu-offload", flags.cpu_offload, "Layers on the CPU: never, allow, only");
  deploy.add_flag("--cpu-when-full", flags.cpu_when_full,
                  "Run on the CPU where the devices are full, instead of waiting for them");
  deploy.add_option("--distributed", flags.distributed, "Over several workers: never, allow");
  deploy.add_option("--placement", flags.placement, "spread (default) or binpack");
  deploy.add_option("--update", flags.update, "automatic (default), new_first or replace");
  deploy.add_option("--vram", flags.vram, "Memory of each device, in place of the estimate");
  deploy.add_option("--ram", flags.ram, "Memory of the worker, in place of the estimate");
  deploy.add_option("--restart", flags.restart, "always (default), on_failure or never");
  deploy.add_option("--max-failures", flags.max_failures,
                    "Failures in a row before it is given up (5)");
  deploy.add_option("--readiness-timeout", flags.readiness_timeout,
                    "Seconds that an engine may take until it serves (by the model's size)");
  deploy.add_option("--memory-limit", flags.memory_limit,
                    "End an engine far beyond its claim: automatic (default), off");
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
