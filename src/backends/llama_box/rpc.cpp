#include "backends/llama_box/rpc.h"

#include "backends/check.h"
#include "backends/environment.h"
#include "backends/llama_box/llama_box.h"
#include "backends/llama_box/visible_devices.h"

#include <algorithm>
#include <filesystem>

namespace berth::backends::llama_box {
namespace {

constexpr std::string_view kProgram = "ggml-rpc-server";  // beside llama-server
constexpr std::chrono::seconds kStopGrace{2};

// A device that a server of its own computes for.
struct Served {
  std::string worker;
  model::DeviceClaim claim;
};

bool is_rpc(const model::DeviceClaim& claim) { return claim.device.starts_with("rpc:"); }

// In the order in which the main process counts them: the subordinates' devices, then those of its
// own worker that are reached so.
std::vector<Served> served_devices(const model::Placement& placement) {
  std::vector<Served> served;
  for (const auto& part : placement.subordinates) {
    for (const auto& claim : part.devices) {
      if (claim.device != "cpu") served.push_back({part.worker, claim});
    }
  }
  for (const auto& claim : placement.claim.devices) {
    if (is_rpc(claim)) served.push_back({placement.worker, claim});
  }
  return served;
}

}  // namespace

std::vector<GangRole> LlamaBox::roles(const model::Deployment& /*deployment*/,
                                      const model::Placement& placement) const {
  const std::string rpc(kRpcRole);
  std::vector<GangRole> roles{{.role = "main", .worker = placement.worker, .after = {}}};
  for (const auto& device : served_devices(placement)) {
    roles.front().after = {rpc};
    roles.push_back({.role = rpc, .worker = device.worker, .after = {}, .tunnelled = true});
  }
  return roles;
}

std::vector<std::string> rpc_servers(const LaunchContext& context) {
  std::vector<std::string> servers;
  std::size_t tunnel = 1;  // of the leased ports; the first one is the main process's own
  for (const auto& member : context.gang->members) {
    if (member.role != kRpcRole) continue;
    const bool is_here = member.worker == context.gang->members.front().worker;
    const auto port = is_here ? member.ports.at(0) : context.ports.at(tunnel++);
    servers.push_back(fmt::format("127.0.0.1:{}", port));
  }
  return servers;
}

Result<model::LaunchPlan> rpc_launch(const LaunchContext& context) {
  const auto served = served_devices(context.placement);
  if (context.ports.size() != 1 || context.member > served.size()) {
    return fail(ErrorCode::internal, "member {} of {} has no device", context.member,
                context.instance);
  }
  const auto& device = served[context.member - 1];
  BERTH_TRY(auto argv, program_of(context));
  if (argv.size() != 1) {
    return fail(ErrorCode::unsupported, "engine pack {} names no {}", context.pack.name, kProgram);
  }
  model::LaunchPlan plan;
  const auto program = std::filesystem::path(argv.front()).parent_path() / kProgram;
  plan.argv = {program.string(), "--host", "127.0.0.1", "--port",
               std::to_string(context.ports.front()),
               // Tensors that a restart finds again; in the instance's folder, which bounds them.
               "--cache"};
  if (is_rpc(device.claim)) {
    plan.argv.insert(plan.argv.end(),
                     {"--threads", std::to_string(std::max(context.worker.system.cores, 1U))});
  }
  auto forced = device_variables(context.worker, {&device.claim, 1});
  forced.push_back({.name = "LLAMA_CACHE",
                    .value = (std::filesystem::path(context.folder) / "tensors").string(),
                    .owner = model::Owner::berth});
  BERTH_TRY(plan.env, build_environment(llama_box_descriptor(), context, forced, plan.notes));
  plan.working_directory = context.folder;
  plan.ports = context.ports;
  plan.probe = {.path = {}, .port = context.ports.front()};
  plan.stop_grace = kStopGrace;
  return plan;
}

}  // namespace berth::backends::llama_box
