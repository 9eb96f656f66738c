// A model in a few words: layers and sizes, for plans and simulations of models that nobody has on
// this machine. docs/clusters.md tells the form. Pure; thread-safe.
#pragma once

#include "base/json.h"
#include "base/result.h"
#include "model/profile.h"

namespace berth::text {

// Reads such an object. What is absent is as in Llama 3 8B: 32 heads, 8 of keys and values, of 128
// elements; embeddings of 4096; a vocabulary of 128,256 tokens; all layers alike. Fails with
// invalid_parameter; the field is the path in `value`.
Result<model::ModelProfile> profile_of(const json::value& value);

}  // namespace berth::text
