// profile_url: what a model at an http(s) address is, from its header alone.
#pragma once

#include "model/profile.h"
#include "sources/range_reader.h"

#include <string_view>

namespace berth::sources {

// Profiles the GGUF file at `url`; tensor data is not read, but for what shares a block with the
// header's end. The profile's file is the address. Blocking; thread-safe.
//
// Errors: as open_url and formats::read_gguf, beginning with the address less its query;
// unsupported for one part of several.
Result<model::ModelProfile> profile_url(std::string_view url, const RangeOptions& options = {});

}  // namespace berth::sources
