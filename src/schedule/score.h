// How good a placement is that fits. Pure.
#pragma once

#include "model/cluster_view.h"
#include "model/deployment.h"
#include "model/placement.h"

#include <string>

namespace berth::schedule {

// From 0 to 100. With S = instances of the same model on the worker, O = those of other models,
// F = the smallest part of a claimed device's memory that stays free, P = 1 where the pack is
// installed:
//   spread:  50 / (1 + S) + 20 / (1 + O) + 25 F + 5 P
//   binpack: 95 (1 − F) + 5 P
double score_of(const model::WorkerView& worker, const std::string& model,
                const model::Placement& placement, model::PlacementPolicy policy);

}  // namespace berth::schedule
