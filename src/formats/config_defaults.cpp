#include "formats/config_defaults.h"

#include <algorithm>
#include <array>

namespace berth::formats {
namespace {

// transformers 4.57, configuration_*.py.
constexpr auto kDefaults = std::to_array<ConfigDefaults>({
    {"cohere", 40, 8192, 22528, 64, 0, 0, 8192, 0, 256000},
    {"cohere2", 40, 8192, 22528, 64, 0, 0, 8192, 4096, 256000},
    {"gemma", 28, 3072, 24576, 16, 16, 256, 8192, 0, 256000},
    {"gemma2", 26, 2304, 9216, 8, 4, 256, 8192, 4096, 256000},
    {"gemma3_text", 26, 2304, 9216, 8, 4, 256, 131072, 4096, 262208},
    {"gemma3n_text", 35, 2048, 16384, 8, 2, 256, 32768, 512, 262400},
    {"granite", 32, 4096, 11008, 32, 0, 0, 2048, 0, 32000},
    {"llama", 32, 4096, 11008, 32, 0, 0, 2048, 0, 32000},
    {"llama4_text", 48, 5120, 8192, 40, 8, 128, 131072, 8192, 202048},
    {"mistral", 32, 4096, 14336, 32, 8, 0, 131072, 4096, 32000},
    {"mixtral", 32, 4096, 14336, 32, 8, 0, 131072, 0, 32000},
    {"phi3", 32, 3072, 8192, 32, 0, 0, 4096, 0, 32064},
    {"qwen2", 32, 4096, 22016, 32, 32, 0, 32768, 4096, 151936},
    {"qwen2_5_omni_text", 28, 3584, 18944, 28, 4, 0, 32768, 0, 152064},
    {"qwen2_5_vl_text", 80, 8192, 29568, 64, 8, 0, 32768, 0, 152064},
    {"qwen2_moe", 24, 2048, 5632, 16, 16, 0, 32768, 0, 151936},
    {"qwen2_vl_text", 80, 8192, 29568, 64, 8, 0, 32768, 0, 152064},
    {"qwen3", 32, 4096, 22016, 32, 32, 128, 32768, 4096, 151936},
    {"qwen3_moe", 24, 2048, 6144, 32, 4, 0, 32768, 0, 151936},
    {"qwen3_vl_text", 32, 4096, 22016, 32, 32, 128, 128000, 0, 151936},
});

}  // namespace

ConfigDefaults config_defaults(std::string_view model_type) {
  const auto* found = std::ranges::find(kDefaults, model_type, &ConfigDefaults::model_type);
  return found == kDefaults.end() ? ConfigDefaults{} : *found;
}

}  // namespace berth::formats
