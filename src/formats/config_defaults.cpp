#include "formats/config_defaults.h"

#include <algorithm>
#include <array>

namespace berth::formats {
namespace {

// transformers 4.57, configuration_*.py.
constexpr auto kDefaults = std::to_array<ConfigDefaults>({
    {"gemma", 28, 3072, 24576, 16, 16, 256, 8192, 0, 256000},
    {"gemma2", 26, 2304, 9216, 8, 4, 256, 8192, 4096, 256000},
    {"gemma3_text", 26, 2304, 9216, 8, 4, 256, 131072, 4096, 262208},
    {"llama", 32, 4096, 11008, 32, 0, 0, 2048, 0, 32000},
    {"mistral", 32, 4096, 14336, 32, 8, 0, 131072, 4096, 32000},
    {"mixtral", 32, 4096, 14336, 32, 8, 0, 131072, 0, 32000},
    {"qwen2", 32, 4096, 22016, 32, 32, 0, 32768, 4096, 151936},
    {"qwen3", 32, 4096, 22016, 32, 32, 128, 32768, 4096, 151936},
});

}  // namespace

ConfigDefaults config_defaults(std::string_view model_type) {
  const auto* found = std::ranges::find(kDefaults, model_type, &ConfigDefaults::model_type);
  return found == kDefaults.end() ? ConfigDefaults{} : *found;
}

}  // namespace berth::formats
