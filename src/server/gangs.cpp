#include "server/gangs.h"

#include "model/restarts.h"
#include "server/worker_health.h"

#include <algorithm>
#include <array>

namespace berth::server {
namespace {

using model::InstanceState;

// From the least to the most that a member can be on its way to serving.
constexpr std::array kSteps = {InstanceState::scheduled, InstanceState::installing,
                               InstanceState::downloading, InstanceState::starting,
                               InstanceState::ready};

std::size_t step_of(InstanceState state) {
  return static_cast<std::size_t>(std::ranges::find(kSteps, state) - kSteps.begin());
}

bool has_ended(InstanceState state) {
  return state == InstanceState::restarting || state == InstanceState::failed;
}

Duration time_in_state(const model::Instance& instance, SystemTime now) {
  const auto since = parse_rfc3339(instance.state_since);
  if (!since || *since > now) return Duration::zero();
  return std::chrono::duration_cast<Duration>(now - *since);
}

// A member has ended: so must all others.
void halt(model::Instance& instance, const cluster::InstanceReport& report, SystemTime now) {
  const bool was_healthy =
      instance.state == InstanceState::ready && time_in_state(instance, now) > model::kHealthyWhile;
  instance.failures = was_healthy ? 1 : instance.failures + 1;
  if (report.last_exit) instance.last_exit = report.last_exit;
  instance.gang->halted = true;
  for (auto& member : instance.gang->members) member.ready = false;
  const bool gives_up =
      report.state == InstanceState::failed || instance.failures > instance.gang->max_failures;
  instance.enter(gives_up ? InstanceState::failed : InstanceState::restarting,
                 describe_member(instance.gang->members[report.member], report.reason), now);
}

bool any_member(const model::Instance& instance, bool (*condition)(InstanceState)) {
  return std::ranges::any_of(instance.members,
                             [&](const auto& member) { return condition(member.state); });
}

bool is_unreachable(InstanceState state) { return state == InstanceState::unreachable; }

// What all members together are, while none has ended.
void sum_up(model::Instance& instance, SystemTime now) {
  const auto least = std::ranges::min_element(instance.members, {},
                                              [](const auto& m) { return step_of(m.state); });
  if (least->state == InstanceState::ready) return instance.enter(least->state, "", now);
  const auto index = static_cast<std::size_t>(least - instance.members.begin());
  instance.enter(least->state, describe_member(instance.gang->members[index], least->reason), now);
}

}  // namespace

std::string describe_member(const model::GangMember& member, std::string_view what) {
  return fmt::format("{} on {}: {}", member.role, member.worker, what);
}

std::string refuse_gang(const backends::Backend& backend, const model::Deployment& deployment,
                        const model::Placement& placement, const model::ClusterView& cluster) {
  for (const auto& role : backend.roles(deployment, placement)) {
    const auto* worker = cluster.find(role.worker);
    if (worker == nullptr) {
      return fmt::format("its {} needs the worker {}, which is not there", role.role, role.worker);
    }
    if (worker->state != model::WorkerState::ready) {
      return fmt::format("its {} needs the worker {}: {}", role.role, role.worker, worker->reason);
    }
    if (worker->scheduling != model::Scheduling::open) {
      return fmt::format("its {} needs the worker {}, which is {}", role.role, role.worker,
                         enum_name(worker->scheduling));
    }
  }
  return {};
}

void form_gang(model::Instance& instance, const backends::Backend& backend,
               const model::Deployment& deployment, const model::ClusterView& cluster) {
  auto& placement = *instance.placement;
  const auto roles = backend.roles(deployment, placement);
  if (roles.size() < 2) return;
  model::Gang gang{.max_failures = deployment.restart.max_failures};
  for (const auto& role : roles) {
    const auto* worker = cluster.find(role.worker);
    gang.members.push_back({.member = static_cast<std::uint32_t>(gang.members.size()),
                            .role = role.role,
                            .after = role.after,
                            .worker = role.worker,
                            .address = worker == nullptr ? std::string() : worker->host,
                            .attempt = 0,
                            .ports = {},
                            .ready = false,
                            .proxy = worker == nullptr ? std::string() : worker->proxy,
                            .tunnelled = role.tunnelled});
    const auto known = placement.workers();
    if (std::ranges::find(known, role.worker) == known.end()) {
      placement.subordinates.push_back({.worker = role.worker, .devices = {}});
    }
  }
  instance.members.assign(gang.members.size(), {});
  instance.gang = std::move(gang);
}

bool take_member(model::Instance& instance, const cluster::InstanceReport& report, SystemTime now) {
  if (report.member >= instance.gang->members.size()) return false;
  const auto gang_before = *instance.gang;
  const auto members_before = instance.members;
  const auto state_before = instance.state;
  const bool is_current = report.attempt == instance.gang->attempt;

  auto& status = instance.members[report.member];
  status = {.state = report.state, .reason = report.reason, .pid = report.pid};
  auto& member = instance.gang->members[report.member];
  if (is_current) {
    member.attempt = report.attempt;
    member.ports = report.ports;
    member.ready = report.state == InstanceState::ready && !instance.gang->halted;
  }
  if (report.member == 0) {
    instance.host = "127.0.0.1";
    instance.port = report.port;
    instance.pid = report.pid;
    instance.attempt = report.attempt;
  }
  const bool all_heard = !any_member(instance, is_unreachable);
  if (!instance.gang->halted) {
    if (is_current && has_ended(report.state)) {
      halt(instance, report, now);
    } else if (all_heard && !any_member(instance, has_ended)) {
      sum_up(instance, now);
    }
  } else if (all_heard && instance.state == InstanceState::unreachable) {
    instance.enter(InstanceState::restarting, "all of its workers are back", now);
  }
  return gang_before != *instance.gang || members_before != instance.members ||
         state_before != instance.state;
}

bool lose_members(model::Instance& instance, const model::ClusterView& cluster) {
  const auto before = instance.members;
  for (std::size_t i = 0; i < instance.members.size(); ++i) {
    const auto* worker = cluster.find(instance.gang->members[i].worker);
    if (worker != nullptr && is_silent(worker->state)) {
      instance.members[i].state = InstanceState::unreachable;
    }
  }
  return instance.members != before;
}

std::optional<Duration> pause_left(const model::Instance& instance, SystemTime now) {
  if (!instance.gang || !instance.gang->halted || instance.state != InstanceState::restarting) {
    return std::nullopt;
  }
  const bool anything_runs = std::ranges::any_of(instance.members, [](const auto& member) {
    return member.pid.has_value() || !has_ended(member.state);
  });
  if (anything_runs) return std::nullopt;
  const Duration left = model::restart_pause(instance.failures) - time_in_state(instance, now);
  return std::max(left, Duration::zero());
}

bool begin_again(model::Instance& instance, SystemTime now) {
  if (pause_left(instance, now) != Duration::zero()) return false;
  instance.gang->halted = false;
  ++instance.gang->attempt;
  for (auto& member : instance.gang->members) {
    member.ready = false;
    member.ports.clear();
  }
  for (auto& member : instance.members) member = {};
  instance.enter(InstanceState::scheduled, fmt::format("attempt {} begins", instance.gang->attempt),
                 now);
  return true;
}

}  // namespace berth::server
