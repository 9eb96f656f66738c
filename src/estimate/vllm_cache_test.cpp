#include "estimate/vllm_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::estimate {
namespace {

// Tiny models as in bench/vllm/models.py: four layers, two KV heads of 32 elements.
model::ModelProfile tiny(std::uint32_t layers = 4) {
  model::ModelProfile profile;
  profile.model_type = "llama";
  profile.layer_count = layers;
  profile.attention = {.heads = 4,
                       .kv_heads = std::vector<std::uint32_t>(layers, 2),
                       .key_length = 32,
                       .value_length = 32};
  return profile;
}

// A letter a layer: f attends to everything, w to a window, r keeps a state, b both, - nothing.
model::ModelProfile patterned(std::string_view pattern, std::uint32_t window,
                              std::uint64_t state_bytes = 0) {
  auto profile = tiny(static_cast<std::uint32_t>(pattern.size()));
  auto& shape = profile.attention;
  shape.sliding_window = window;
  for (std::size_t layer = 0; layer < pattern.size(); ++layer) {
    const char kind = pattern[layer];
    if (kind == 'r' || kind == '-') shape.kv_heads[layer] = 0;
    shape.windowed.push_back(kind == 'w');
    profile.recurrent.layers.push_back(kind == 'r' || kind == 'b');
  }
  profile.recurrent.state_elements = state_bytes / 4;
  return profile;
}

model::ModelProfile of_type(model::ModelProfile profile, std::string type) {
  profile.model_type = std::move(type);
  return profile;
}

// What vLLM 0.32.0 says on the CPU: the tokens that it logs for `memory`, and the least cache with
// which it starts.
struct Said {
  std::string name;
  model::ModelProfile profile;
  std::uint64_t tokens = 0;
  std::uint64_t least = 0;
  VllmOptions options = {.context = 2048, .batched_tokens = 2048, .block = 128};
  Bytes memory = 64_MiB;
};

class SaidByVllm : public testing::TestWithParam<Said> {};

TEST_P(SaidByVllm, IsComputed) {
  const Said& said = GetParam();
  EXPECT_EQ(vllm_cached_tokens(said.profile, said.options, said.memory).value(), said.tokens);
  EXPECT_EQ(vllm_least_cache(said.profile, said.options).value(), Bytes{said.least});
}

model::ModelProfile with_kv_heads(std::uint32_t heads, std::uint32_t layers = 4) {
  auto profile = tiny(layers);
  profile.attention.kv_heads.assign(layers, heads);
  return profile;
}

model::ModelProfile latent() {
  auto profile = with_kv_heads(1);
  profile.attention.key_length = 512 + 64;
  profile.attention.value_length = 0;
  profile.attention.latent = true;
  return profile;
}

model::ModelProfile with_longer_heads_where_full() {
  auto profile = patterned("wwwwwfwwwwwf", 128);
  auto& shape = profile.attention;
  shape.windowed_key_length = shape.windowed_value_length = 32;
  shape.key_length = shape.value_length = 64;
  return profile;
}

constexpr VllmOptions kLong{.context = 4096, .batched_tokens = 512, .block = 128};
constexpr VllmOptions kOdd{.context = 1000, .batched_tokens = 256, .block = 128};
constexpr VllmOptions kShort{.context = 300, .batched_tokens = 2048, .block = 128};
constexpr VllmOptions kUsual{.context = 2048, .batched_tokens = 2048, .block = 128};
constexpr VllmOptions kSmall{
    .context = 2048, .batched_tokens = 2048, .cache_bytes = 1, .block = 128};
constexpr VllmOptions kBlockOf16{.context = 2048, .batched_tokens = 2048, .block = 16};
constexpr VllmOptions kBlockOf64{.context = 2048, .batched_tokens = 2048, .block = 64};
constexpr VllmOptions kNoPrefixes{
    .context = 2048, .batched_tokens = 2048, .block = 128, .prefix_caching = false};
constexpr Bytes kLongMemory{96ULL * 1024 * 1024 + 12345};
constexpr Bytes kOddMemory{64ULL * 1024 * 1024 - 1};

INSTANTIATE_TEST_SUITE_P(
    VllmCache, SaidByVllm,
    testing::Values(
        Said{"Mha", with_kv_heads(4), 32768, 4456448}, Said{"Gqa", tiny(), 65536, 2228224},
        Said{"Mqa", with_kv_heads(1, 5), 104832, 1392640},
        Said{"MqaOdd", with_kv_heads(1, 5), 102375, 737280, kOdd, kOddMemory},
        Said{"Fp8", with_kv_heads(4), 65536, 2228224, kSmall},
        Said{"BlocksOf64", tiny(), 65536, 2162688, kBlockOf64},
        Said{"Latent", latent(), 14560, 9510912, kBlockOf16},
        Said{"Window", patterned("wwww", 256), 61680, 2359296},
        Said{"WindowLong", patterned("wwww", 256), 449389, 1048576, kLong, kLongMemory},
        Said{"OneToOneOdd", patterned("wfwfwf", 256), 52461, 1376256, kOdd, kOddMemory},
        Said{"FiveToOne", patterned("wwwwwfww", 128), 31068, 4456448},
        Said{"FiveToOneLong", patterned("wwwwwfww", 128), 170039, 2457600, kLong, kLongMemory},
        Said{"Uneven", patterned("wwwwwfwwwwwfwww", 200), 15534, 8912896},
        Said{"ThreeToTwo", patterned("wfwfw", 128), 41943, 3342336},
        Said{"TwoLengths", with_longer_heads_where_full(), 17189, 8126464},
        Said{"ChunksLong", of_type(patterned("wwwfwwwf", 256), "llama4_text"), 125829, 3342336,
             kLong, kLongMemory},
        Said{"Mamba", of_type(patterned("rrrr", 0, 9728), "mamba"), 3530752, 77824},
        Said{"JambaShort", of_type(patterned("rrfrrrfr", 0, 9728), "jamba"), 21333, 655360, kShort,
             40_MiB},
        Said{"NemotronH", of_type(patterned("r-rfr-rf", 0, 35072), "nemotron_h"), 74898, 1966080},
        Said{"FalconH1", of_type(patterned("bbbb", 0, 18304), "falcon_h1"), 55188, 2621440},
        Said{"GraniteWithoutPrefixes", of_type(patterned("rrfrrf", 0, 18304), "granitemoehybrid"),
             116508, 1245184, kNoPrefixes}),
    [](const auto& info) { return info.param.name; });

TEST(VllmCache, CacheOfATokenIsThatOfGroupedHeads) {
  EXPECT_EQ(vllm_token_cache(tiny(), {}).value(), Bytes{4 * 2 * 64 * 2});
  EXPECT_EQ(vllm_token_cache(tiny(), {.tensor_parallel = 2}).value(), Bytes{4 * 1 * 64 * 2});
  EXPECT_EQ(vllm_token_cache(tiny(), {.tensor_parallel = 8}).value(), Bytes{4 * 1 * 64 * 2})
      << "one head at least";
  EXPECT_EQ(vllm_token_cache(tiny(), {.cache_bytes = 1}).value(), Bytes{4 * 2 * 64});
}

TEST(VllmCache, LatentAttentionIsNotShared) {
  EXPECT_EQ(vllm_token_cache(latent(), {}).value(), Bytes{4 * 576 * 2});
  EXPECT_EQ(vllm_token_cache(latent(), {.tensor_parallel = 8}).value(), Bytes{4 * 576 * 2});
}

TEST(VllmCache, ASequenceTakesWholeBlocks) {
  EXPECT_EQ(vllm_sequence_cache(tiny(), {}, 1).value(), Bytes{1024 * 16});
  EXPECT_EQ(vllm_sequence_cache(tiny(), {}, 17).value(), Bytes{1024 * 32});
}

TEST(VllmCache, BatchesUnderWayKeepTheirTokensBesideTheWindow) {
  const auto profile = patterned("wwww", 65);
  const VllmOptions one{.batched_tokens = 128};
  EXPECT_EQ(vllm_sequence_cache(profile, one, 16384).value(), Bytes{1024 * (192 + 16)});
  const VllmOptions two{.batched_tokens = 128, .batches = 2};
  EXPECT_EQ(vllm_sequence_cache(profile, two, 16384).value(), Bytes{1024 * (320 + 16)});
}

TEST(VllmCache, GroupsOfLayersAreSharedOutWithTheLayers) {
  const auto profile = patterned("wwwfwwwf", 16);
  const auto whole = vllm_cache_layout(profile, {.context = 64}, 64);
  const auto half = vllm_cache_layout(profile, {.context = 64, .pipeline_parallel = 2}, 64);
  ASSERT_TRUE(whole && half);
  EXPECT_EQ(half->block, Bytes{whole->block.count / 2});
  EXPECT_EQ(half->sequence_blocks, whole->sequence_blocks);
}

TEST(VllmCache, AnEncoderKeepsNone) {
  const auto profile = with_kv_heads(0);
  EXPECT_EQ(vllm_least_cache(profile, kUsual).value(), 0_B);
  EXPECT_EQ(vllm_cached_tokens(profile, kUsual, 64_MiB).value(), 0U);
}

TEST(VllmCache, RefusesToGuess) {
  auto profile = tiny();
  profile.unknown_cache = "layer_types has \"x\"";
  const auto layout = vllm_cache_layout(profile, kUsual, 1);
  ASSERT_FALSE(layout);
  EXPECT_EQ(layout.error().code, ErrorCode::unsupported);
  EXPECT_THAT(layout.error().message, testing::HasSubstr("layer_types"));
}

TEST(VllmCache, FiguresOfAHostileFileDoNotOverflow) {
  auto profile = patterned("wfrwfr", 0xffffffffU, 0xffffffffffffULL);
  profile.attention.key_length = profile.attention.value_length = 0xffffffffU;
  EXPECT_GT(vllm_sequence_cache(profile, kUsual, 0xffffffffU).value(), 1024_GiB);
  EXPECT_EQ(vllm_cached_tokens(profile, kUsual, 1_GiB).value(), 0U);
}

}  // namespace
}  // namespace berth::estimate
