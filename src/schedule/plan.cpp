#include "schedule/plan.h"

#include <algorithm>

namespace berth::schedule {
namespace {

constexpr std::uint16_t kFirstPort = 10001;

// What each device of the placement gets, by worker and id.
std::vector<std::pair<std::string, std::vector<model::DeviceClaim>>> claims_of(
    const model::Placement& placement) {
  std::vector<std::pair<std::string, std::vector<model::DeviceClaim>>> claims;
  for (const auto& name : placement.workers()) {
    auto& own = claims.emplace_back(name, std::vector<model::DeviceClaim>{}).second;
    if (name == placement.worker) own = placement.claim.devices;
    for (const auto& part : placement.subordinates) {
      if (part.worker == name) own.insert(own.end(), part.devices.begin(), part.devices.end());
    }
  }
  return claims;
}

// The cluster's part that the placement touches, with the placement in it.
model::ClusterView placed_view(const model::ClusterView& cluster, const std::string& model,
                               const model::Placement& placement) {
  model::ClusterView part;
  for (const auto& name : placement.workers()) {
    if (const auto* worker = cluster.find(name)) part.add(*worker);
  }
  part.apply(model, placement);
  return part;
}

std::vector<PlannedDevice> picture(const PlacementRequest& request,
                                   const model::Placement& placement,
                                   const model::ClusterView& cluster) {
  const auto after = placed_view(cluster, request.deployment.name, placement);
  std::vector<PlannedDevice> devices;
  for (const auto& [name, claims] : claims_of(placement)) {
    const auto* worker = cluster.find(name);
    if (worker == nullptr) continue;
    for (const auto& view : worker->devices) {
      Bytes ours;
      for (const auto& instance : view.instances) ours += instance.used;
      PlannedDevice device{.worker = name,
                           .device = view.device.id,
                           .kind = view.device.kind,
                           .name = view.device.name,
                           .memory = view.device.memory,
                           .unified = view.device.unified,
                           .measured = view.device.measured,
                           .claimed = view.claimed(),
                           .others = view.device.used - ours,
                           .claim = std::nullopt,
                           .free = after.find(name)->find_device(view.device.id)->free()};
      const auto claim = std::ranges::find(claims, view.device.id, &model::DeviceClaim::device);
      if (claim != claims.end()) device.claim = *claim;
      devices.push_back(std::move(device));
    }
  }
  return devices;
}

// The worker as launch() wants it.
model::Worker worker_of(const model::WorkerView& view) {
  model::Worker worker{.name = view.name,
                       .state = view.state,
                       .reason = view.reason,
                       .scheduling = view.scheduling,
                       .address = view.host,
                       .system = view.system,
                       .labels = view.labels,
                       .devices = {},
                       .packs = view.packs};
  for (const auto& device : view.devices) worker.devices.push_back(device.device);
  return worker;
}

const model::EnginePack* pack_of(const model::WorkerView& worker, const std::string& name) {
  const auto found = std::ranges::find_if(
      worker.packs, [&](const model::PackStatus& status) { return status.pack.name == name; });
  return found == worker.packs.end() ? nullptr : &found->pack;
}

void hide_secrets(model::LaunchPlan& plan) {
  for (auto& variable : plan.env) {
    if (variable.secret) variable.value.clear();
  }
}

model::Gang gang_of(const std::vector<backends::GangRole>& roles, const backends::Backend& backend,
                    const model::ClusterView& cluster) {
  model::Gang gang;
  std::uint16_t port = kFirstPort;
  for (const auto& role : roles) {
    model::GangMember member{.member = static_cast<std::uint32_t>(gang.members.size()),
                             .role = role.role,
                             .after = role.after,
                             .worker = role.worker,
                             .address = {},
                             .attempt = 1,
                             .ports = {},
                             .ready = false};
    member.tunnelled = role.tunnelled;
    if (const auto* worker = cluster.find(role.worker)) member.address = worker->host;
    gang.members.push_back(std::move(member));
  }
  for (auto& member : gang.members) {
    const auto tunnels = member.member == 0 ? model::tunnelled_members(gang).size() : 0;
    const auto count = backend.ports(member.role) + tunnels;
    for (std::size_t i = 0; i < count; ++i) member.ports.push_back(port++);
  }
  return gang;
}

Result<PlannedLaunch> launch_of(const PlacementRequest& request, const model::ClusterView& cluster,
                                const Plan& plan, const model::Gang& gang,
                                const model::GangMember& member) {
  const auto* view = cluster.find(member.worker);
  const auto* pack = view == nullptr ? nullptr : pack_of(*view, plan.placement->pack);
  if (pack == nullptr) {
    return fail(ErrorCode::not_found, "{} does not have the engine pack {}", member.worker,
                plan.placement->pack);
  }
  const auto worker = worker_of(*view);
  BERTH_TRY(auto launch,
            request.backend.launch({.deployment = request.deployment,
                                    .profile = request.profile,
                                    .placement = *plan.placement,
                                    .serving = *plan.serving,
                                    .pack = *pack,
                                    .pack_folder = "{pack}",
                                    .pack_python = "{python}",
                                    .worker = worker,
                                    .instance = request.deployment.name,
                                    .member = member.member,
                                    .folder = "{folder}",
                                    .engine_key = "",
                                    .ports = member.ports,
                                    .gang = gang.members.size() > 1 ? &gang : nullptr}));
  hide_secrets(launch);
  return PlannedLaunch{.worker = member.worker, .role = member.role, .plan = std::move(launch)};
}

}  // namespace

Plan make_plan(const PlacementRequest& request, const model::ClusterView& cluster) {
  Plan plan{.model = request.deployment.name,
            .backend = std::string(request.backend.descriptor().name)};
  auto placed = place(request, cluster);
  if (!placed) {
    plan.rejections = std::move(placed).error();
    plan.reasons = explain(plan.rejections);
    return plan;
  }
  plan.placed = true;
  plan.devices = picture(request, placed->placement, cluster);
  plan.placement = std::move(placed->placement);
  plan.serving = placed->serving;
  plan.stage = placed->stage;
  plan.score = placed->score;
  plan.warnings = std::move(placed->warnings);
  plan.rejections = std::move(placed->rejections);
  plan.reasons = explain(plan.rejections);
  return plan;
}

void add_launch(const PlacementRequest& request, const model::ClusterView& cluster, Plan& plan) {
  if (!plan.placed) {
    plan.launch_refused = "nothing is started, for want of a place";
    return;
  }
  const auto roles = request.backend.roles(request.deployment, *plan.placement);
  const auto gang = gang_of(roles, request.backend, cluster);
  std::vector<PlannedLaunch> launches;
  for (const auto& member : gang.members) {
    auto launch = launch_of(request, cluster, plan, gang, member);
    if (!launch) {
      plan.launch_refused = launch.error().to_string();
      return;
    }
    launches.push_back(*std::move(launch));
  }
  plan.launch = std::move(launches);
}

}  // namespace berth::schedule
