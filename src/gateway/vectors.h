// Vectors of embeddings: as engines write them, cut, and as clients want them.
#pragma once

#include "base/json.h"
#include "base/result.h"

#include <cstddef>
#include <string>
#include <vector>

namespace berth::gateway {

// A list of numbers, or the base64 of 32-bit floats, little-endian. Fails with corrupt for anything
// else, and for numbers that are none. Pure.
Result<std::vector<float>> read_vector(const json::value& value);

// Keeps the first `dimensions` numbers, at a Euclidean length of 1. Fails with invalid_parameter
// (field "dimensions") where there are fewer. Pure.
Result<void> shorten(std::vector<float>& vector, std::size_t dimensions);

// Appends the JSON of `vector`: numbers that read back as the same floats, or base64 of them. Pure.
void append_vector(std::string& text, const std::vector<float>& vector, bool base64);

}  // namespace berth::gateway
