// Where an instance of a stored model goes: schedule::place() with what the server knows. Pure.
#pragma once

#include "backends/backend.h"
#include "model/cluster_view.h"
#include "model/instance.h"
#include "model/observation.h"
#include "schedule/place.h"

#include <span>
#include <string>

namespace berth::server {

// The best place in `cluster` now, or why there is none. `observed`: what earlier instances took;
// null: nothing is known. Workers of `avoid` are left out.
[[nodiscard]] tl::expected<schedule::ScoredPlacement, std::string> find_place(
    const model::Model& model, const model::Observation* observed,
    const backends::Registry& backends, const model::ClusterView& cluster,
    std::span<const std::string> avoid = {});

}  // namespace berth::server
