#include "server/replicas.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace berth::server {
namespace {

using model::InstanceState;
using model::UpdatePolicy;

struct Row {
  const char* name;
  InstanceState state = InstanceState::ready;
  bool hindered = false;
  bool overcommit = false;
  std::uint32_t on_devices = 10;  // of 10 layers
  const char* created_at = "2026-01-01T00:00:00Z";
};

// What is above is kept longer.
constexpr std::array kKeptLonger = {
    Row{.name = "oldest", .created_at = "2025-01-01T00:00:00Z"},
    Row{.name = "a-tie"},
    Row{.name = "b-tie"},
    Row{.name = "newest", .created_at = "2026-02-01T00:00:00Z"},
    Row{.name = "half on the cpu", .on_devices = 5, .created_at = "2024-01-01T00:00:00Z"},
    Row{.name = "all on the cpu", .on_devices = 0, .created_at = "2024-01-01T00:00:00Z"},
    Row{.name = "overcommitted", .overcommit = true, .created_at = "2024-01-01T00:00:00Z"},
    Row{.name = "on a cordoned worker", .hindered = true, .created_at = "2024-01-01T00:00:00Z"},
    Row{.name = "hindered and overcommitted", .hindered = true, .overcommit = true},
    Row{.name = "starts", .state = InstanceState::starting},
    Row{.name = "starts, slower", .state = InstanceState::downloading, .on_devices = 5},
    Row{.name = "starts, hindered", .state = InstanceState::scheduled, .hindered = true},
    Row{.name = "silent", .state = InstanceState::unreachable, .hindered = true, .on_devices = 9},
    Row{.name = "waits", .state = InstanceState::restarting},
    Row{.name = "waits, slower", .state = InstanceState::pending, .on_devices = 5},
    Row{.name = "failed", .state = InstanceState::failed, .created_at = "2024-01-01T00:00:00Z"},
    Row{.name = "failed later", .state = InstanceState::failed},
};

model::Instance instance_of(const Row& row) {
  model::Instance instance{.name = row.name, .state = row.state, .created_at = row.created_at};
  instance.placement = {.worker = "w1", .overcommit = row.overcommit};
  instance.placement->claim.layers = {.on_devices = row.on_devices, .total = 10};
  return instance;
}

TEST(IsMoreUseful, KeepsThemInTheOrderOfTheTable) {
  std::vector<model::Instance> instances;
  for (const auto& row : kKeptLonger) instances.push_back(instance_of(row));
  for (std::size_t a = 0; a < instances.size(); ++a) {
    for (std::size_t b = 0; b < instances.size(); ++b) {
      const LiveInstance one{.value = &instances[a], .hindered = kKeptLonger.at(a).hindered};
      const LiveInstance other{.value = &instances[b], .hindered = kKeptLonger.at(b).hindered};
      EXPECT_EQ(is_more_useful(one, other), a < b) << one.value->name << ", " << other.value->name;
    }
  }
}

TEST(IsMoreUseful, CountsDevicesWhereLayersAreNotKnown) {
  model::Instance slow{.name = "a", .state = InstanceState::ready};
  slow.placement = {.worker = "w1"};
  slow.placement->claim.devices = {{.device = "cpu"}};
  model::Instance quick = slow;
  quick.name = "b";
  quick.placement->claim.devices = {{.device = "cuda:0"}, {.device = "cpu"}};
  EXPECT_TRUE(is_more_useful({.value = &quick}, {.value = &slow}));
}

// One letter for an instance: r ready, s starting, w waiting for room, f failed; capitals are of
// the revision before.
struct Step {
  UpdatePolicy policy;
  std::uint32_t replicas;
  const char* live;
  std::size_t ending;  // old ones that end already
  const char* ends;    // of the live ones
  std::size_t missing;
  bool fewer = false;    // one that serves ends before its successor does
  bool has_room = true;  // the end of an old one gives room
};

constexpr auto kAuto = UpdatePolicy::automatic;
constexpr auto kNew = UpdatePolicy::new_first;
constexpr auto kOld = UpdatePolicy::replace;

constexpr std::array kSteps = {
    // the new one first, one at a time
    Step{kNew, 3, "RRR", 0, "", 1},
    Step{kNew, 3, "RRRs", 0, "", 0},
    Step{kNew, 3, "RRRw", 0, "", 0},
    Step{kNew, 3, "RRRr", 0, "R", 1},
    Step{kNew, 3, "RRr", 1, "", 1},
    Step{kNew, 3, "rrrR", 0, "R", 0},
    Step{kNew, 2, "RFr", 0, "F", 1},
    Step{kNew, 2, "RSr", 0, "S", 1},
    Step{kNew, 1, "RS", 0, "S", 1},
    Step{kNew, 1, "W", 0, "W", 1},
    // the old one first
    Step{kOld, 1, "R", 0, "R", 0, true},
    Step{kOld, 1, "", 1, "", 0},
    Step{kOld, 1, "", 0, "", 1},
    Step{kOld, 3, "RRR", 0, "R", 0, true},
    Step{kOld, 3, "RR", 1, "", 0},
    Step{kOld, 3, "RR", 0, "", 1},
    Step{kOld, 3, "RRs", 0, "", 0},
    Step{kOld, 3, "RRr", 0, "R", 0, true},
    Step{kOld, 2, "RS", 0, "S", 0},
    // where there is no room for both
    Step{kAuto, 1, "R", 0, "", 1},
    Step{kAuto, 1, "Rw", 0, "R", 0, true},
    Step{kAuto, 1, "Rw", 0, "", 0, false, false},
    Step{kAuto, 3, "RRRw", 0, "R", 0, true},
    Step{kAuto, 3, "RRw", 1, "", 0},
    Step{kAuto, 3, "RRw", 0, "", 0},
    Step{kAuto, 3, "RRSw", 0, "S", 0},
    // scaled to 0
    Step{kNew, 0, "Rs", 0, "Rs", 0},
    Step{kOld, 0, "Rr", 0, "Rr", 0},
};

InstanceState state_of(char letter) {
  switch (letter | 0x20) {
    case 'r':
      return InstanceState::ready;
    case 's':
      return InstanceState::starting;
    case 'w':
      return InstanceState::pending;
    default:
      return InstanceState::failed;
  }
}

TEST(PlanReplicas, ReplacesOneAtATimeAsThePolicySays) {
  for (const auto& step : kSteps) {
    const std::string letters = step.live;
    std::vector<model::Instance> instances;
    for (const char letter : letters) {
      const bool is_old = letter < 'a';
      instances.push_back({.name = std::string(1, letter),
                           .model_generation = is_old ? 1U : 2U,
                           .state = state_of(letter),
                           .reason = "no room"});
    }
    std::vector<LiveInstance> live;
    for (const auto& instance : instances) {
      live.push_back(
          {.value = &instance, .makes_room = step.has_room && instance.model_generation == 1});
    }
    const model::Model model{
        .deployment = {.name = "m", .replicas = step.replicas, .update = step.policy},
        .generation = 2};
    const auto plan = plan_replicas(model, live, step.ending);
    std::string ends;
    bool fewer = false;
    for (const auto& ending : plan.endings) {
      ends += letters.at(ending.index);
      fewer = fewer || !ending.serves_fewer.empty();
    }
    std::ranges::sort(ends);
    const std::string what =
        fmt::format("{} of {}, {}", letters, step.replicas, enum_name(step.policy));
    EXPECT_EQ(ends, step.ends) << what;
    EXPECT_EQ(plan.missing, step.missing) << what;
    EXPECT_EQ(fewer, step.fewer) << what;
  }
}

}  // namespace
}  // namespace berth::server
