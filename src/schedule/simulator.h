// Many models that come and go on a cluster, in simulated time: the placements that place() makes,
// how long what does not fit waits, and how full and how fragmented the devices become. Pure: the
// same workload on the same cluster gives the same result.
#pragma once

#include "backends/backend.h"
#include "base/clock.h"
#include "model/cluster_view.h"
#include "schedule/place.h"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace berth::schedule {

struct SimulatedModel {
  model::Deployment deployment;
  model::ModelProfile profile;
  const backends::Backend* backend = nullptr;
  backends::ParsedParameters parameters;
};

// One instance that is wanted from `at` on.
struct Arrival {
  Duration at{0};
  std::size_t model = 0;          // position in Workload::models
  std::optional<Duration> stays;  // from when it is placed; nothing: it never leaves
};

struct Workload {
  std::vector<SimulatedModel> models;
  std::vector<Arrival> arrivals;  // by time
};

// The cluster at one moment.
struct ClusterSample {
  Duration at{0};
  std::uint64_t running = 0;
  std::uint64_t waiting = 0;
  double claimed = 0;       // part of the memory of all devices; of machines where there are none
  double host_claimed = 0;  // part of the machines' memory
  // Part of the devices' free memory that lies on devices which others share.
  double fragmented = 0;
};
BOOST_DESCRIBE_STRUCT(ClusterSample, (), (at, running, waiting, claimed, host_claimed, fragmented))

// From arrival to placement, of the instances that were placed.
struct Waits {
  Duration p50{0};
  Duration p99{0};
  Duration max{0};
};
BOOST_DESCRIBE_STRUCT(Waits, (), (p50, p99, max))

struct SimulatedInstance {
  std::string model;
  Duration arrived{0};
  std::optional<Duration> placed;  // nothing: it waits at the end
  std::optional<Duration> left;
  std::string worker;
  std::optional<Stage> stage;
  std::vector<std::string> devices;  // "cuda:0"
};
BOOST_DESCRIBE_STRUCT(SimulatedInstance, (), (model, arrived, placed, left, worker, stage, devices))

struct Simulation {
  std::uint64_t arrived = 0;
  std::uint64_t placed = 0;
  std::uint64_t waiting = 0;                    // at the end
  Duration ended{0};                            // the last event
  std::map<std::string, std::uint64_t> stages;  // of the placed ones
  Waits waits;
  double mean_claimed = 0;  // over the time, as ClusterSample::claimed
  double peak_claimed = 0;
  std::vector<ClusterSample> samples;
  std::map<std::string, std::string> reasons;  // why models wait at the end
  std::vector<SimulatedInstance> instances;    // in the order of arrival
};
BOOST_DESCRIBE_STRUCT(Simulation, (),
                      (arrived, placed, waiting, ended, stages, waits, mean_claimed, peak_claimed,
                       samples, reasons, instances))
inline constexpr FieldInfo kSimulationFields[] = {
    {.name = "ended", .text = "when the last of it happened", .unit = "milliseconds"},
    {.name = "mean_claimed", .text = "part of the devices' memory, over the time"},
};
constexpr std::span<const FieldInfo> field_table(const Simulation*) { return kSimulationFields; }

// Sees the cluster after each moment at which something happened.
using Onlooker = std::function<void(Duration at, const model::ClusterView& cluster)>;

// Runs until nothing more happens. Instances are placed in the order of their arrival, each as soon
// as there is a place: what waits is asked again whenever one has left. At one moment those that
// leave are first. A sample is taken at 0, every `interval`, and at the end.
[[nodiscard]] Simulation simulate(const Workload& workload, model::ClusterView cluster,
                                  Duration interval, const Onlooker& onlooker = {});

}  // namespace berth::schedule
