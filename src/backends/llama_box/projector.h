// The projector that an engine gets: the profile's choice, or what the user's flags say. Pure.
#pragma once

#include "backends/backend.h"
#include "estimate/projector.h"

namespace berth::backends::llama_box {

// Null where there is none: no candidate fits, --no-mmproj or --mmproj none says so, or the model
// is no language model. Fails with invalid_parameter where --mmproj names what is not among the
// profile's candidates, or what can not serve the model.
Result<const model::Projector*> projector_of(const model::ModelProfile& profile,
                                             const ParsedParameters& parameters);

// What the user's flags say about it, for the claim.
estimate::ProjectorOptions projector_options(const ParsedParameters& parameters);

// Refuses batches that can not hold an image of a model that reads images as a whole: the engine
// would end at the first one.
Result<void> check_batches(const model::Projector& projector, const ParsedParameters& parameters);

// Tokens that a batch has room for where the model reads images as a whole. Gemma 3 makes 256 of
// one; llama-server keeps the images of others within the batch.
inline constexpr std::uint32_t kWholeImageBatch = 512;

}  // namespace berth::backends::llama_box
