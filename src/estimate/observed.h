// What an earlier instance took, in the place of a guess. Pure and thread-safe.
#pragma once

#include "model/observation.h"

namespace berth::estimate {

// The layout of `observation` that `claim` is for; null where none was seen.
const model::ObservedLayout* find_observed(const model::Observation* observation,
                                           std::string_view build, const model::Serving& serving,
                                           const model::Claim& claim);

// Lets what was seen (and 2 % more) win over the host's `runtime`, the one part of a claim that is
// guessed, upwards and downwards. Weights, cache and buffers stay: memory that an instance had and
// did not touch yet is not seen. A claim is `observed` where this changed it.
void apply_observed(const model::ObservedLayout& observed, model::Claim& claim);

}  // namespace berth::estimate
