// Ways to lay out a model whose ranks share every layer, each as much as the others (tensor
// parallel), on devices of one worker. Pure.
#pragma once

#include "schedule/layout.h"

#include <optional>

namespace berth::schedule {

// Tries `stage`, one device or several, with one pack of a worker. What was missing goes to
// `rejections`. Devices that the user named are taken as they are, overcommitted where they are too
// small.
std::optional<Layout> lay_out_ranks(const PlacementRequest& request, const Option& option,
                                    const PackOption& pack, const model::Serving& serving,
                                    Stage stage, Rejections& rejections);

}  // namespace berth::schedule
