// A placement as people look at it: on which devices, beside what, and with which command line.
// Pure.
#pragma once

#include "schedule/place.h"

#include <optional>
#include <string>
#include <vector>

namespace berth::schedule {

// One device of a worker that runs a part of the model.
struct PlannedDevice {
  std::string worker;
  std::string device;
  model::DeviceKind kind = model::DeviceKind::cpu;
  std::string name;
  Bytes memory;
  bool unified = false;
  bool measured = true;
  Bytes claimed;  // by other instances
  Bytes others;   // used by others than instances
  std::optional<model::DeviceClaim> claim;
  Bytes free;  // for a new claim once this one is placed; the rest is reserved
};
BOOST_DESCRIBE_STRUCT(PlannedDevice, (),
                      (worker, device, kind, name, memory, unified, measured, claimed, others,
                       claim, free))
inline constexpr FieldInfo kPlannedDeviceFields[] = {
    {.name = "claimed", .text = "by other instances", .unit = "bytes"},
    {.name = "others", .text = "used by others than instances", .unit = "bytes"},
    {.name = "claim", .text = "what the model takes; absent where it takes nothing"},
    {.name = "free", .text = "for a new claim, once this one is placed", .unit = "bytes"},
};
constexpr std::span<const FieldInfo> field_table(const PlannedDevice*) {
  return kPlannedDeviceFields;
}

// How one process of the instance would be started.
struct PlannedLaunch {
  std::string worker;
  std::string role;  // "main"
  model::LaunchPlan plan;
};
BOOST_DESCRIBE_STRUCT(PlannedLaunch, (), (worker, role, plan))

struct Plan {
  std::string model;
  std::string backend;
  std::string backend_reason;
  bool placed = false;
  std::optional<model::Placement> placement;
  std::optional<model::Serving> serving;
  std::optional<Stage> stage;
  std::optional<double> score;
  std::vector<std::string> warnings;
  Rejections rejections;  // of each worker that can not take it; where placed, of the others
  std::string reasons;    // the same for a person
  std::vector<PlannedDevice> devices;  // of the workers that run it
  std::optional<std::vector<PlannedLaunch>> launch;
  std::string launch_refused;  // why there is no launch plan
};
BOOST_DESCRIBE_STRUCT(Plan, (),
                      (model, backend, backend_reason, placed, placement, serving, stage, score,
                       warnings, rejections, reasons, devices, launch, launch_refused))
inline constexpr FieldInfo kPlanFields[] = {
    {.name = "placed", .text = "whether there is a place for its next instance now"},
    {.name = "placement", .text = "the workers and devices, with the claim on each"},
    {.name = "stage", .text = "how it is laid out: the first way that any worker can do"},
    {.name = "score", .text = "how good the place is", .minimum = 0, .maximum = 100},
    {.name = "rejections", .text = "why each other worker, or way, is not taken"},
    {.name = "reasons", .text = "the rejections as sentences"},
    {.name = "devices", .text = "all devices of the workers that would run it"},
    {.name = "launch",
     .text = "how its processes would be started, where that was asked for; ports, folders and "
             "keys stand in for those that only a worker knows"},
    {.name = "launch_refused", .text = "why there is no launch"},
};
constexpr std::span<const FieldInfo> field_table(const Plan*) { return kPlanFields; }

// What place() says of `request`, as a plan without a launch.
[[nodiscard]] Plan make_plan(const PlacementRequest& request, const model::ClusterView& cluster);

// Adds the launch of each process of the instance to a plan that is placed, or why there is none.
// In place of what only a worker knows stand {pack}, {python}, {folder} and ports from 10001 on.
// There are no secrets in it: their values are empty.
void add_launch(const PlacementRequest& request, const model::ClusterView& cluster, Plan& plan);

}  // namespace berth::schedule
