// place(): where an instance goes, and why not elsewhere. Pure: no I/O, no clock; the same input
// gives the same output, whatever the order of the workers.
#pragma once

#include "backends/backend.h"
#include "model/cluster_view.h"
#include "model/deployment.h"
#include "model/observation.h"
#include "model/placement.h"
#include "model/profile.h"
#include "schedule/rejection.h"

#include <span>
#include <string>
#include <vector>

namespace berth::schedule {

struct PlacementRequest {
  const model::Deployment& deployment;
  const model::ModelProfile& profile;
  const backends::Backend& backend;
  const backends::ParsedParameters& parameters;
  // What an engine has measured of its buffers; it holds for packs of that build.
  const model::ComputeTable* compute = nullptr;
  const model::Observation* observed = nullptr;  // what earlier instances took
  std::span<const std::string> avoid = {};       // workers on which it failed too often
};

// How the model is laid out; the first stage that any worker can do wins.
enum class Stage { one_device, several_devices, several_workers, partial_offload, cpu };
BOOST_DESCRIBE_ENUM(Stage, one_device, several_devices, several_workers, partial_offload, cpu)

struct ScoredPlacement {
  model::Placement placement;
  model::Serving serving;
  Stage stage = Stage::cpu;
  double score = 0;                   // 0 to 100, see score.h
  std::vector<std::string> warnings;  // for the instance: such as "it runs on the CPU"
  Rejections rejections;              // of the workers that could not take it
};

// Finds where `request` fits best in `cluster`. Filters (named in RejectionCode) say which workers,
// packs and devices count; then stages: one device whole, several devices of one worker, devices of
// several workers, as many layers as possible on devices, the CPU alone. With cpu_offload "allow"
// the CPU alone is chosen only where no device could take a layer even when empty: a model whose
// devices are merely full waits, unless cpu_when_full says otherwise. Devices that the user named
// for ranks are taken though an estimate speaks against them: Placement::overcommit.
// Returns the placement with its score, or every reason that kept each worker out (never an empty
// list), with the context that would fit for the first few workers.
[[nodiscard]] tl::expected<ScoredPlacement, Rejections> place(const PlacementRequest& request,
                                                              const model::ClusterView& cluster);

}  // namespace berth::schedule
