// What is known of models that answer with vectors or scores, and their files do not say.
#pragma once

#include "model/profile.h"

namespace berth::backends {

// Whether the beginnings of the model's vectors are embeddings themselves (Matryoshka learning), so
// that they may be cut. By the names of the families that were trained so. Pure.
bool has_nested_embeddings(const model::ModelProfile& profile);

// Whether llama.cpp gives the model's scores as probabilities; those of others have no bounds.
// Pure.
bool scores_are_probabilities(const model::ModelProfile& profile);

}  // namespace berth::backends
