// Embeddings: requests in OpenAI's form ("Create embeddings"), whatever the engine can do of it.
#pragma once

#include "gateway/portions.h"

#include <memory>

namespace berth::gateway {

// Reads "model", "input" (a text, a list of tokens, or a list of either), "encoding_format" and
// "dimensions"; the rest goes to the engine as it is. Fails with invalid_parameter naming the
// field.
Result<std::unique_ptr<Portions>> read_embeddings(json::object body);

}  // namespace berth::gateway
