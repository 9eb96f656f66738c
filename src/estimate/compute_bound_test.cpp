#include "estimate/compute_bound.h"

#include <gtest/gtest.h>

namespace berth::estimate {
namespace {

using model::ComputeRole;
using model::ModelProfile;

struct Sizes {
  std::string_view architecture;
  std::uint32_t layers, embedding, feed_forward;
  std::uint32_t heads, kv_heads, key, value;
  std::uint32_t vocabulary;
  std::uint64_t largest_layer;
  std::uint32_t window = 0;
  std::uint32_t experts = 0, used = 0;
  std::uint64_t parameters = 0, bytes = 0;
  std::uint64_t state = 0;  // elements of a recurrent layer
};

ModelProfile profile_of(const Sizes& sizes) {
  ModelProfile profile{.format = model::FileFormat::gguf,
                       .architecture = std::string(sizes.architecture),
                       .parameters = sizes.parameters,
                       .layer_count = sizes.layers,
                       .embedding_length = sizes.embedding,
                       .feed_forward_length = sizes.feed_forward,
                       .vocabulary = sizes.vocabulary,
                       .experts = sizes.experts,
                       .experts_used = sizes.used,
                       .total_size = {sizes.bytes}};
  profile.attention = {.heads = sizes.heads,
                       .kv_heads = std::vector<std::uint32_t>(sizes.layers, sizes.kv_heads),
                       .key_length = sizes.key,
                       .value_length = sizes.value,
                       .sliding_window = sizes.window};
  profile.attention.latent = sizes.key == 576;
  profile.weights.layers.assign(sizes.layers, {sizes.largest_layer});
  if (sizes.state != 0) {
    profile.recurrent = {.layers = std::vector<bool>(sizes.layers, true),
                         .state_elements = sizes.state};
  }
  if (sizes.architecture == "bert") profile.category = model::Category::embedding;
  return profile;
}

constexpr Sizes kLlama1b{"llama", 16, 2048, 8192, 32, 8, 64, 64, 128256, 38821888};
constexpr Sizes kLlama8b{"llama", 32, 4096, 14336, 32, 8, 128, 128, 128256, 138936320};
constexpr Sizes kLlama70b{"llama", 80, 8192, 28672, 64, 8, 128, 128, 128256, 544079872};
constexpr Sizes kQwen{"qwen3", 28, 1024, 3072, 16, 8, 128, 128, 151936, 31466496};
constexpr Sizes kGemma1b{"gemma3", 26, 1152, 6912, 4, 1, 256, 256, 262144, 53694464, 512};
constexpr Sizes kGemma12b{"gemma3", 48, 3840, 15360, 16, 8, 256, 256, 262208, 143372288, 1024};
constexpr Sizes kCommandR{"command-r", 40, 8192, 22528, 64, 64, 128, 128, 256000, 527335424};
constexpr Sizes kFalcon{"falcon", 32, 4544, 18176, 71, 1, 64, 64, 65024, 220038656};
constexpr Sizes kBert{"bert", 24, 1024, 4096, 16, 0, 64, 64, 250002, 13422592};
constexpr Sizes kMamba{"mamba2", 64, 2560, 0, 0, 0, 0, 0, 50288, 42832320, 0, 0, 0, 0, 0, 671488};
constexpr Sizes kQwen35{"qwen35", 32,        4096, 12288, 16, 4, 256, 256,
                        248320,   136422144, 0,    0,     0,  0, 0,   548864};
constexpr Sizes kMixtral{"llama", 32,        4096, 14336, 32, 8,           128,        128,
                         32000,   938672128, 0,    8,     2,  46702792704, 28298209120};
constexpr Sizes kDeepSeek{"deepseek2", 61, 7168, 18432, 128,          1,           576, 0, 129280,
                          7455093760,  0,  256,  8,     671026419200, 406709009568};

struct Row {
  const char* what;
  Sizes sizes;
  GgufOptions how;
  ComputeRole role;
  std::uint64_t judged;  // by the judge of llama.cpp b11434
};

using enum ComputeRole;
constexpr GgufOptions of(std::uint32_t context, std::uint32_t slots) {
  return {.context = context, .slots = slots};
}
constexpr GgufOptions without_flash(GgufOptions how) {
  how.flash_attention = false;
  return how;
}
constexpr GgufOptions cached_as(CacheType type, GgufOptions how) {
  how.key_type = how.value_type = type;
  return how;
}
constexpr GgufOptions at_once(GgufOptions how) {
  how.ubatch = how.context;
  how.outputs_for_all_tokens = true;
  return how;
}

const Row kRows[] = {
    {"Llama 3.2 1B", kLlama1b, of(2048, 4), cpu_alone, 75470880},
    {"… no flash attention", kLlama1b, without_flash(of(8192, 2)), device_whole, 576727168},
    {"… the host beside", kLlama1b, without_flash(of(8192, 2)), host_whole, 36692000},
    {"Llama 3.1 8B on two", kLlama8b, of(8192, 4), device_of_many, 255909888},
    {"… the host beside", kLlama8b, of(8192, 4), host_of_many, 119566464},
    {"Llama 3.3 70B in part", kLlama70b, of(8192, 1), device_partly, 343674880},
    {"… the host beside", kLlama70b, of(8192, 1), host_partly, 76028960},
    {"Qwen3 0.6B, q4_0", kQwen, cached_as(CacheType::q4_0, of(4096, 8)), device_whole, 155285632},
    {"Gemma 3 1B, q8_0", kGemma1b, cached_as(CacheType::q8_0, of(16384, 1)), device_partly,
     83565312},
    {"Gemma 3 12B on three", kGemma12b, cached_as(CacheType::q8_0, of(4096, 2)), device_of_many,
     246120448},
    {"… the host beside", kGemma12b, cached_as(CacheType::q8_0, of(4096, 2)), host_of_many,
     106152576},
    {"Command R, a layer's cache", kCommandR, of(8192, 4), device_partly, 1174409216},
    {"Falcon 7B in part", kFalcon, of(2048, 4), device_partly, 263461376},
    {"BGE-M3", kBert, at_once(of(2048, 4)), cpu_alone, 87935296},
    {"Mamba 2 2.7B", kMamba, of(4096, 1), cpu_alone, 83275264},
    {"Qwen3.5 9B", kQwen35, of(2048, 4), cpu_alone, 123535424},
    {"… on a device", kQwen35, of(4096, 1), device_whole, 113266944},
    {"Mixtral 8x7B", kMixtral, of(4096, 1), cpu_alone, 222444576},
    {"… on a device", kMixtral, of(4096, 1), device_whole, 213923968},
    {"DeepSeek V3 on two", kDeepSeek, of(8192, 4), device_of_many, 637575168},
    {"… in part", kDeepSeek, of(8192, 4), device_partly, 3292532736},
};

TEST(ComputeBound, IsNeverBelowTheJudgeForPublishedShapes) {
  for (const auto& row : kRows) {
    const auto bound = compute_bound(profile_of(row.sizes), row.how, row.role);
    EXPECT_GE(bound.count, row.judged) << row.what;
    EXPECT_LE(bound.count, row.judged * 2) << row.what;
  }
}

TEST(ComputeBound, CountsLogitsOfAllTokensWhereTheOutputLayerIs) {
  const auto profile = profile_of(kQwen);
  const auto how = at_once(of(8192, 1));
  const auto logits = Bytes{std::uint64_t{8192} * 151936 * 4};
  EXPECT_GE(compute_bound(profile, how, device_whole), logits);
  EXPECT_LT(compute_bound(profile, how, host_whole), logits);
}

TEST(ComputeBound, LeavesTheHostItsBatchesWhereDevicesDoNotTakeThem) {
  const auto profile = profile_of(kLlama8b);
  auto how = of(4096, 1);
  EXPECT_LT(compute_bound(profile, how, host_partly), compute_bound(profile, how, cpu_alone));
  how.batches_on_devices = false;
  EXPECT_EQ(compute_bound(profile, how, host_partly), compute_bound(profile, how, cpu_alone));
}

TEST(ComputeBound, KeepsNoMasksWhereNothingAttends) {
  const auto profile = profile_of(kMamba);
  EXPECT_EQ(compute_bound(profile, of(4096, 1), device_whole),
            compute_bound(profile, of(1U << 20, 1), device_whole));
}

}  // namespace
}  // namespace berth::estimate
