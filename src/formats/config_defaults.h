// What a config.json leaves out because the class that reads it knows. Internal to formats.
#pragma once

#include <cstdint>
#include <string_view>

namespace berth::formats {

// What transformers' configuration classes take where a config.json leaves a key out; 0 = nothing.
// Nested configurations of vision models rely on it.
struct ConfigDefaults {
  std::string_view model_type;
  std::uint32_t layers = 0;
  std::uint32_t hidden = 0;
  std::uint32_t feed_forward = 0;
  std::uint32_t heads = 0;
  std::uint32_t kv_heads = 0;
  std::uint32_t head_length = 0;
  std::uint32_t context = 0;  // tokens
  std::uint32_t window = 0;   // tokens
  std::uint32_t vocabulary = 0;
};
// All zero for a model type that the table does not have.
ConfigDefaults config_defaults(std::string_view model_type);

}  // namespace berth::formats
