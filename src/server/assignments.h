// What the workers of an instance that has a place are told. Pure.
#pragma once

#include "model/instance.h"

#include <vector>

namespace berth::server {

// One for each member of a gang, in its order; else one. The instance has its placement and what it
// serves with.
[[nodiscard]] std::vector<model::Assignment> assignments_of(const model::Instance& instance,
                                                            const model::Model& model);

}  // namespace berth::server
