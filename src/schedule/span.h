// Ways to lay a model over several workers. Pure.
#pragma once

#include "schedule/layout.h"

#include <optional>
#include <vector>

namespace berth::schedule {

struct Span {
  const Option* main = nullptr;
  Layout layout;  // the main worker's part
  std::vector<model::SubordinatePlacement> subordinates;
};

// Of models that ranks share: the fewest devices that can, all those of workers which have equally
// many; or those that the user named. Workers with a part of another such instance take none. What
// was missing goes to `rejections`.
std::optional<Span> span_workers(const PlacementRequest& request,
                                 const std::vector<Option>& options, const model::Serving& serving,
                                 Rejections& rejections);

}  // namespace berth::schedule
