// The element types of GGUF tensors and what a block of each takes. Facts of ggml's format.
#pragma once

#include <cstdint>
#include <string_view>

namespace berth::formats {

// `block_bytes` hold `block_elements` consecutive elements of a row.
struct GgmlType {
  std::uint32_t id = 0;
  std::string_view name;  // "Q4_K"
  std::uint32_t block_elements = 1;
  std::uint32_t block_bytes = 1;
};

// Null for ids that no reader knows, and for those that were withdrawn from the format.
const GgmlType* ggml_type(std::uint32_t id);

// The name of a `general.file_type`, such as "Q4_K_M"; empty where unknown.
std::string_view file_type_name(std::uint64_t file_type);

}  // namespace berth::formats
