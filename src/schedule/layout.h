// Ways to lay a model over the devices of one worker: the stages of place(). Pure.
#pragma once

#include "schedule/filters.h"

#include <cstdint>
#include <optional>

namespace berth::schedule {

// One way that fits.
struct Layout {
  model::Claim claim;
  model::Serving serving;
  std::string pack;
  std::vector<std::string> overcommitted = {};  // what does not fit of what the user chose
};

// Tries `stage` on a worker with its packs, the best first. `context` replaces the tokens per
// request where it is not 0. Where nothing fits, adds what was missing to `rejections`.
std::optional<Layout> lay_out(const PlacementRequest& request, const Option& option, Stage stage,
                              std::uint32_t context, Rejections& rejections);

}  // namespace berth::schedule
