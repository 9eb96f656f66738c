// Layers of a model over several workers. Internal to schedule.
#pragma once

#include "schedule/span.h"

namespace berth::schedule {

// Of models whose layers devices share out: the fewest workers that can, those with the most free
// memory first, which is also where the main process runs. Of the last one only as many devices as
// are needed. All have the same build of the same engine. None for models with a projector. What
// was missing goes to `rejections`. The main worker's part has the layers of all devices in the
// order in which the engine counts them: the subordinates' first.
std::optional<Span> span_layers(const PlacementRequest& request, const std::vector<Option>& options,
                                const model::Serving& serving, Rejections& rejections);

}  // namespace berth::schedule
