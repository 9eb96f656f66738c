#include "deployment_flags.h"

#include <fmt/format.h>

namespace berth::app {
namespace {

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

void put_list(json::object& object, std::string_view member,
              const std::vector<std::string>& texts) {
  if (!texts.empty()) object[member] = to_array(texts);
}

Result<void> put_pairs(json::object& object, std::string_view member,
                       const std::vector<std::string>& pairs, std::string_view flag) {
  if (pairs.empty()) return {};
  BERTH_TRY(object[member], read_pairs(pairs, flag));
  return {};
}

// The object `member`, made where it is not there.
json::object& inner(json::object& object, std::string_view member) {
  auto& value = object[member];
  if (!value.is_object()) value = json::object();
  return value.get_object();
}

}  // namespace

void add_deployment_flags(CLI::App& command, DeploymentFlags& flags) {
  const auto add_list = [&](const char* name, std::vector<std::string>& to, const char* text) {
    command.add_option(name, to, text)->allow_extra_args(false);
  };
  command.add_option("--replicas", flags.replicas, "How many instances (1)");
  command.add_option("--backend", flags.backend, "The backend (chosen from the files)");
  command.add_option("--backend-version", flags.backend_version, "The engine pack's version");
  add_list("--category", flags.categories, "What it is for: llm, embedding, reranker …");
  add_list("--env", flags.env, "NAME=VALUE for the engine; repeat it for more");
  add_list("--worker-selector", flags.worker_selector, "LABEL=VALUE that a worker must have");
  add_list("--device", flags.devices, "WORKER:DEVICE to use, such as box1:cuda:0");
  command.add_option("--cpu-offload", flags.cpu_offload, "Layers on the CPU: never, allow, only");
  command.add_flag("--cpu-when-full", flags.cpu_when_full,
                   "Run on the CPU where the devices are full, instead of waiting for them");
  command.add_option("--distributed", flags.distributed, "Over several workers: never, allow");
  command.add_option("--placement", flags.placement, "spread (default) or binpack");
  command.add_option("--update", flags.update, "automatic (default), new_first or replace");
  command.add_option("--vram", flags.vram, "Memory of each device, in place of the estimate");
  command.add_option("--ram", flags.ram, "Memory of the worker, in place of the estimate");
  command.add_option("--restart", flags.restart, "always (default), on_failure or never");
  command.add_option("--max-failures", flags.max_failures,
                     "Failures in a row before it is given up (5)");
  command.add_option("--readiness-timeout", flags.readiness_timeout,
                     "Seconds that an engine may take until it serves (by the model's size)");
  command.add_option("--progress-deadline", flags.progress_deadline,
                     "Seconds that an edit may bring nothing to serve (1800)");
  command.add_option("--memory-limit", flags.memory_limit,
                     "End an engine far beyond its claim: automatic (default), off");
}

Result<model::Deployment> with_flags(const model::Deployment& base, const DeploymentFlags& flags,
                                     const std::vector<std::string>& engine_flags) {
  json::object document = to_json(base, Secrets::show).get_object();
  put_list(document, "categories", flags.categories);
  put_list(document, "parameters", engine_flags);
  put_list(document, "devices", flags.devices);
  BERTH_CHECK(put_pairs(document, "env", flags.env, "--env"));
  BERTH_CHECK(put_pairs(document, "worker_selector", flags.worker_selector, "--worker-selector"));
  put(document, "replicas", flags.replicas);
  put(document, "backend", flags.backend);
  put(document, "backend_version", flags.backend_version);
  put(document, "cpu_offload", flags.cpu_offload);
  if (flags.cpu_when_full) document["cpu_when_full"] = true;
  put(document, "distributed", flags.distributed);
  put(document, "placement", flags.placement);
  put(document, "update", flags.update);
  put(document, "readiness_timeout", flags.readiness_timeout);
  put(document, "progress_deadline", flags.progress_deadline);
  put(document, "memory_limit", flags.memory_limit);
  if (flags.vram || flags.ram) {
    auto& claim = inner(document, "claim");
    put(claim, "vram", flags.vram);
    put(claim, "ram", flags.ram);
  }
  auto& restart = inner(document, "restart");
  put(restart, "policy", flags.restart);
  put(restart, "max_failures", flags.max_failures);
  BERTH_TRY(auto deployment, from_json<model::Deployment>(document, UnknownMembers::refuse));
  BERTH_CHECK(model::validate(deployment));
  return deployment;
}

}  // namespace berth::app
