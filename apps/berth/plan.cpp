// berth plan: where a model would go and why not elsewhere, as a picture of devices. In a cluster
// that a file describes, without a server, or in the server's own.
#include "schedule/plan.h"

#include "api_client.h"
#include "api_views.h"
#include "backends/check.h"
#include "command.h"
#include "deploy_request.h"
#include "deployment_flags.h"
#include "described_cluster.h"
#include "device_bar.h"
#include "profile_here.h"
#include "sources/hub/name.h"
#include "terminal.h"

#include <cstdio>
#include <filesystem>
#include <memory>

#include <fmt/format.h>

namespace berth::app {
namespace {

using schedule::Plan;
using schedule::PlannedDevice;
using schedule::Stage;

constexpr std::chrono::minutes kPatience{5};  // a disk of models may be slow
constexpr std::size_t kUntouched = 3;         // devices without a claim that are shown

struct PlanFlags {
  std::string model;
  std::string name;
  std::string on;
  bool launch = false;
  DeploymentFlags deployment;
};

Result<std::string> name_of(const PlanFlags& flags, const std::string& source) {
  const auto name = flags.name.empty() ? name_from_source(source) : flags.name;
  if (!name.empty()) return name;
  return fail(ErrorCode::invalid_parameter, "no name can be made of {}; give one with --name",
              source);
}

// ---- without a server

Result<Plan> plan_here(const CommonOptions& common, const PlanFlags& flags) {
  BERTH_TRY(const auto cluster, read_described_cluster(common, flags.on));
  BERTH_TRY(auto source, whole_source(flags.model));
  BERTH_TRY(auto model, profile_here(source));
  BERTH_TRY(const auto name, name_of(flags, source));
  BERTH_TRY(const auto deployment,
            with_flags({.name = name, .source = source}, flags.deployment, common.engine_flags));
  auto& profile = model.profile;
  if (!deployment.categories.empty()) profile.category = deployment.categories.front();
  BERTH_TRY(const auto choice,
            backends::choose_backend(backends::builtin_backends(), profile, deployment.backend));
  const auto& backend = *choice.backend;
  BERTH_TRY(const auto checked, backends::check_deployment(backend, deployment, profile));
  const schedule::PlacementRequest request{.deployment = deployment,
                                           .profile = profile,
                                           .backend = backend,
                                           .parameters = checked.parameters};
  auto plan = schedule::make_plan(request, cluster);
  plan.backend_reason = choice.reason;
  auto warnings = checked.warnings;
  if (!backend.descriptor().startable) {
    warnings.push_back(fmt::format("this version of Berth plans for {}, but does not start it yet",
                                   backend.descriptor().name));
  }
  plan.warnings.insert(plan.warnings.begin(), warnings.begin(), warnings.end());
  if (flags.launch) schedule::add_launch(request, cluster, plan);
  return plan;
}

// ---- in the server's cluster

// What the user means: a deployed model, or one that could be deployed.
Result<model::Deployment> find_deployment(const ApiClient& client, const PlanFlags& flags) {
  if (!is_written_as_path(flags.model) && !sources::is_hub_name(flags.model)) {
    BERTH_TRY(const auto model, find_model(client, flags.model));
    if (model) {
      auto deployment = model->deployment;
      if (!flags.name.empty()) deployment.name = flags.name;
      return deployment;
    }
    std::error_code error;
    if (!std::filesystem::exists(flags.model, error)) {
      return fail(ErrorCode::not_found,
                  "there is neither a model named \"{}\" (see berth models) nor such a file",
                  flags.model);
    }
  }
  BERTH_TRY(const auto source, absolute_source(flags.model, false));
  BERTH_TRY(const auto name, name_of(flags, source));
  return model::Deployment{.name = name, .source = source};
}

Result<Plan> ask_server(const CommonOptions& common, const PlanFlags& flags) {
  BERTH_TRY(const auto client, ApiClient::connect(common));
  BERTH_TRY(const auto found, find_deployment(client, flags));
  BERTH_TRY(const auto deployment, with_flags(found, flags.deployment, common.engine_flags));
  const std::string target = flags.launch ? "/api/v1/plan?launch=true" : "/api/v1/plan";
  BERTH_TRY(const auto answer, client.post(target, to_json(deployment, Secrets::show), kPatience));
  return read_answer<Plan>(answer);
}

// ---- printing

std::string stage_text(const Plan& plan) {
  const auto& claim = plan.placement->claim;
  switch (plan.stage.value_or(Stage::cpu)) {
    case Stage::one_device:
      return "whole on one device";
    case Stage::several_devices:
      return "whole over several devices";
    case Stage::several_workers:
      return fmt::format("whole over devices of {} workers", plan.placement->workers().size());
    case Stage::partial_offload:
      return claim.layers ? fmt::format("{} of {} layers on devices, the CPU computes the rest",
                                        claim.layers->on_devices, claim.layers->total)
                          : "a part of it on devices, the CPU computes the rest";
    case Stage::cpu:
      break;
  }
  return "on the CPU alone";
}

void print_device(const PlannedDevice& device, bool colour) {
  fmt::print("{} {}{}{}{}\n", printable(device.worker), printable(device.device),
             device.name.empty() ? "" : "  ", printable(device.name),
             device.unified ? "  shares the CPU's memory" : "");
  if (device.memory.count == 0 || !device.measured) {
    fmt::print("  what is free of it is not known, so nothing is placed on it\n");
    return;
  }
  const auto claim = device.claim.value_or(model::DeviceClaim{});
  const Bytes engine = claim.compute + claim.runtime;
  const std::vector<BarPart> parts{
      {device.claimed, '#', Style::busy}, {device.others, 'o', Style::busy},
      {claim.weights, 'W', Style::good},  {claim.kv_cache, 'K', Style::good},
      {engine, 'C', Style::good},         {device.free, '.', Style::faint}};
  fmt::print("  [{}] ", device_bar(parts, device.memory, colour));
  if (device.claim) {
    fmt::print("takes {}: weights {}, KV cache {}, compute {}; ", claim.total(), claim.weights,
               claim.kv_cache, engine);
  }
  fmt::print("claims {}, others {}, free {} of {}\n", device.claimed, device.others, device.free,
             device.memory);
}

void print_placed(const Plan& plan) {
  const bool colour = has_colour(1);
  const auto& placement = *plan.placement;
  fmt::print("{} goes to {}: {} (score {:.1f} of 100)\n", printable(plan.model),
             fmt::join(placement.workers(), ", "), stage_text(plan), plan.score.value_or(0));
  fmt::print("by {} with the engine pack {}", plan.backend, printable(placement.pack));
  if (plan.serving && plan.serving->context != 0) {
    fmt::print("; {} at a time, each of up to {} tokens", counted(plan.serving->slots, "request"),
               plan.serving->context);
  }
  fmt::print("; claim {}\n\n", enum_name(placement.claim.method));
  std::size_t untouched = 0;
  for (const auto& device : plan.devices) {
    if (device.claim || ++untouched <= kUntouched) print_device(device, colour);
  }
  if (untouched > kUntouched) {
    fmt::print("and {} that it does not touch\n", counted(untouched - kUntouched, "more device"));
  }
  fmt::print(
      "W weights  K KV cache  C compute and engine of {}  # claims of other instances  o used by "
      "others  . free\n",
      printable(plan.model));
  if (!plan.reasons.empty()) {
    fmt::print("\nNot elsewhere, or in an earlier way:\n{}\n", printable_lines(plan.reasons));
  }
}

void print_plan(const Plan& plan) {
  if (plan.placed && plan.placement) {
    print_placed(plan);
  } else {
    fmt::print("{} has no place:\n{}\n", printable(plan.model), printable_lines(plan.reasons));
  }
  if (plan.launch) {
    fmt::print("\n");
    print_json(to_json(*plan.launch));
  }
  for (const auto& warning : plan.warnings) {
    fmt::print(stderr, "berth: warning: {}\n", printable(warning));
  }
  if (!plan.launch_refused.empty()) {
    fmt::print(stderr, "berth: no launch plan: {}\n", printable(plan.launch_refused));
  }
}

int run(const CommonOptions& common, const PlanFlags& flags) {
  const auto plan = flags.on.empty() ? ask_server(common, flags) : plan_here(common, flags);
  if (!plan) return report_input(plan.error());
  if (common.json)
    print_json(to_json(*plan));
  else
    print_plan(*plan);
  return plan->placed ? kDone : kFailed;
}

}  // namespace

void add_plan(CLI::App& app, const CommonOptions& common, Command& command) {
  auto* plan = app.add_subcommand("plan", "Show where a model would go, and why not elsewhere");
  auto flags = std::make_shared<PlanFlags>();
  plan->add_option("MODEL", flags->model,
                   "The model's file, folder or glob, its name on a hub, or a deployed model")
      ->required();
  plan->add_option("--on", flags->on, "A described cluster (YAML), in place of the server's");
  plan->add_flag("--launch", flags->launch, "Show how the engine would be started, too");
  plan->add_option("--name", flags->name, "The name of the deployment (made from MODEL)");
  add_deployment_flags(*plan, flags->deployment);
  plan->footer(
      "Exit status: 0 it has a place, 1 it has none (the reasons are printed), 2 bad input.\n"
      "Nothing is deployed or stored. docs/clusters.md tells what a described cluster may say.\n"
      "Example: berth plan ./model.gguf --on cluster.yaml --launch -- --ctx-size 16384");
  plan->callback(
      [&common, &command, flags] { command = [&common, flags] { return run(common, *flags); }; });
}

}  // namespace berth::app
