// safetensors: reads the header of a file, never its tensors. Written for hostile input, as gguf.h
// is. Format: huggingface/safetensors, README "Format": eight bytes of length, a JSON object, data.
#pragma once

#include "formats/byte_source.h"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace berth::formats {

struct SafetensorsTensor {
  std::string name;
  std::string type;                  // "BF16"
  std::vector<std::uint64_t> shape;  // outermost first
  std::uint64_t elements = 0;
  std::uint64_t bytes = 0;
};

struct SafetensorsFile {
  std::vector<SafetensorsTensor> tensors;  // in the order of the header
  std::map<std::string, std::string> metadata;
  std::uint64_t size = 0;  // of the whole file, bytes
};

// The table of contents, checked: every tensor as long as its type and shape say, inside the file
// and apart from the others. Errors are `corrupt` or `unsupported` (an unknown type), start with
// `name` and say which field is wrong. `name` is a path or an address, for errors only.
Result<SafetensorsFile> read_safetensors(ByteSource& source, std::string_view name);

// Whether the source begins as a safetensors file does: a plausible length and a '{'.
bool looks_like_safetensors(ByteSource& source);

}  // namespace berth::formats
