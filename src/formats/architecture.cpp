#include "formats/architecture.h"

#include <algorithm>
#include <array>

namespace berth::formats {
namespace {

// llama.cpp b11434, src/models/*.cpp (load_arch_hparams).
constexpr auto kWindowRules = std::to_array<WindowRule>({
    {.architecture = "afmoe", .period = 4},
    {.architecture = "cohere2", .period = 4},
    {.architecture = "cohere2moe", .period = 4, .full_first = true},
    {.architecture = "dots3note"},
    {.architecture = "exaone-moe", .period = 4, .window = 128},
    {.architecture = "exaone4", .period = 4, .window = 4096, .only_layers = 64},
    {.architecture = "gemma-embedding", .period = 6},
    {.architecture = "gemma2", .period = 2, .window = 4096},
    {.architecture = "gemma3", .period = 6},
    {.architecture = "gemma3n", .period = 5},
    {.architecture = "gemma4"},
    {.architecture = "gemma4-assistant"},
    {.architecture = "gpt-oss", .period = 2},
    {.architecture = "granite_swa"},
    {.architecture = "laguna", .period = 4, .full_first = true},
    {.architecture = "llama4", .period = 4, .window = 8192, .fixed = true},
    {.architecture = "maple"},
    {.architecture = "mellum", .period = 4},
    {.architecture = "mimo2"},
    {.architecture = "modern-bert", .period = 3, .full_first = true},
    {.architecture = "muse-glimmer", .period = 4},
    {.architecture = "olmo2", .period = 4},
    {.architecture = "plamo3", .period = 8},
    {.architecture = "smallthinker",
     .period = 4,
     .full_first = true,
     .window = 4096,
     .fixed = true},
    {.architecture = "step35"},
});

constexpr auto kNoCache = std::to_array<std::string_view>({
    "bert",
    "dream",
    "eurobert",
    "gemma-embedding",
    "jina-bert-v2",
    "jina-bert-v3",
    "llada",
    "llada-moe",
    "llama-embed",
    "modern-bert",
    "neo-bert",
    "nomic-bert",
    "nomic-bert-moe",
    "rnd1",
    "t5encoder",
    "wavtokenizer-dec",
});
constexpr auto kEncoders = std::to_array<std::string_view>({
    "bert",
    "eurobert",
    "jina-bert-v2",
    "jina-bert-v3",
    "modern-bert",
    "neo-bert",
    "nomic-bert",
    "nomic-bert-moe",
    "t5encoder",
});
constexpr auto kRecurrent = std::to_array<std::string_view>({
    "arwkv7",
    "mamba",
    "mamba2",
    "rwkv6",
    "rwkv6qwen2",
    "rwkv7",
});
constexpr auto kInterval = std::to_array<std::string_view>({
    "minimax-01",
    "qwen35",
    "qwen35moe",
    "qwen3next",
    "qwen4exp",
});

bool contains(const auto& names, std::string_view name) {
  return std::ranges::find(names, name) != std::ranges::end(names);
}

}  // namespace

const WindowRule* window_rule(std::string_view architecture) {
  const auto* found = std::ranges::find(kWindowRules, architecture, &WindowRule::architecture);
  return found == kWindowRules.end() ? nullptr : &*found;
}

Recurrence recurrence_of(std::string_view architecture) {
  if (contains(kRecurrent, architecture)) return Recurrence::all;
  if (contains(kInterval, architecture)) return Recurrence::by_interval;
  if (architecture == "falcon-h1") return Recurrence::beside;
  return Recurrence::by_heads;
}

std::uint32_t default_interval(std::string_view architecture) {
  return architecture == "minimax-01" ? 8 : 4;
}

bool keeps_no_cache(std::string_view architecture) { return contains(kNoCache, architecture); }
bool is_encoder(std::string_view architecture) { return contains(kEncoders, architecture); }

}  // namespace berth::formats
