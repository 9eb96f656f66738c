// SplitName: the name of one part of a GGUF model that is in several files.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace berth::formats {

// "model-00002-of-00005.gguf" taken apart, as llama.cpp's gguf-split names parts.
struct SplitName {
  std::string stem;          // "model"
  std::uint32_t number = 0;  // from 1
  std::uint32_t count = 0;
};

// Of a file's name or path. Nothing where it is no such name.
std::optional<SplitName> parse_split_name(std::string_view name);

}  // namespace berth::formats
