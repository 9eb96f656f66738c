// GGUF: reads the header, metadata and tensor table of a file, versions 2 and 3, little-endian.
// Written for hostile input: every length and count is checked before it is used, memory is bounded
// by the header's own size, and no tensor data is read. Format: ggml, docs/gguf.md.
#pragma once

#include "formats/byte_source.h"
#include "formats/ggml_type.h"

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace berth::formats {

enum class GgufValueType : std::uint32_t {
  uint8 = 0,
  int8 = 1,
  uint16 = 2,
  int16 = 3,
  uint32 = 4,
  int32 = 5,
  float32 = 6,
  boolean = 7,
  string = 8,
  array = 9,
  uint64 = 10,
  int64 = 11,
  float64 = 12,
};

// An array. Numbers and booleans are kept where there are at most kKeptElements; of longer arrays
// and of strings and nested arrays only type, count and place are recorded.
struct GgufArray {
  GgufValueType element_type = GgufValueType::uint8;
  std::uint64_t count = 0;
  std::uint64_t offset = 0;  // of the first element, from the start of the file
  // Whole numbers and booleans; negative ones and floats are not kept. Empty where not kept.
  std::vector<std::uint64_t> numbers;
};
inline constexpr std::uint64_t kKeptElements = 4096;

using GgufValue = std::variant<std::uint64_t, std::int64_t, double, bool, std::string, GgufArray>;
using GgufMetadata = std::map<std::string, GgufValue, std::less<>>;

struct GgufTensor {
  std::string name;
  GgmlType type;
  std::uint32_t dimensions = 0;                    // 0 to 4
  std::array<std::uint64_t, 4> shape{1, 1, 1, 1};  // innermost first
  std::uint64_t offset = 0;                        // from the start of the file
  std::uint64_t bytes = 0;
  std::uint64_t elements = 0;
};

struct GgufFile {
  std::uint32_t version = 0;
  std::uint64_t alignment = 32;
  GgufMetadata metadata;
  std::vector<GgufTensor> tensors;  // in the file's order
  std::uint64_t data_offset = 0;    // where tensor data begins
  std::uint64_t size = 0;           // of the whole file
};

// The whole table of contents of a file, checked: no key or tensor twice, every tensor aligned,
// inside the file and apart from the others. Errors are `corrupt` or `unsupported`, start with
// `name` and say which field is wrong. `name` is a path or an address, for errors only.
Result<GgufFile> read_gguf(ByteSource& source, std::string_view name);

// Whether the source begins with GGUF's magic.
bool looks_like_gguf(ByteSource& source);

// A whole number or boolean of any width; empty where absent, negative or of another type.
std::optional<std::uint64_t> find_number(const GgufMetadata& metadata, std::string_view key);
// A string; empty where absent or of another type.
std::string_view find_string(const GgufMetadata& metadata, std::string_view key);
// An array; null where absent or of another type.
const GgufArray* find_array(const GgufMetadata& metadata, std::string_view key);

}  // namespace berth::formats
