// Hugging Face's layout: config.json, tokenizer and weights in a folder.
#pragma once

#include "formats/file_set.h"
#include "model/profile.h"

#include <optional>

namespace berth::formats {

// The profile of a model whose folder has a config.json that transformers reads; nothing where it
// has none. Reads configurations and the headers of safetensors; `.bin` files count by their size.
//
// Errors: corrupt (an impossible value, a broken header or index), not_found (a shard is missing,
// or there are no weights at all), unsupported (a classifier), too_large, io.
Result<std::optional<model::ModelProfile>> profile_hugging_face(const FileSet& files);

}  // namespace berth::formats
