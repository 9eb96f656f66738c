#include "estimate/gguf.h"

#include "estimate/compute_bound.h"

#include <gtest/gtest.h>

namespace berth::estimate {
namespace {

using model::ComputeRole;

// gemma-3-270m Q4_K_M: the tensor table of the published file.
model::ModelProfile gemma() {
  model::ModelProfile profile;
  profile.format = model::FileFormat::gguf;
  profile.architecture = "gemma3";
  profile.context_length = 32768;
  profile.layer_count = 18;
  profile.embedding_length = 640;
  profile.feed_forward_length = 2048;
  profile.vocabulary = 262144;
  profile.attention = {.heads = 4,
                       .kv_heads = std::vector<std::uint32_t>(18, 1),
                       .key_length = 256,
                       .value_length = 256,
                       .sliding_window = 512,
                       .windowed = std::vector<bool>(18, true)};
  for (const std::size_t full : {5U, 11U, 17U}) profile.attention.windowed[full] = false;
  profile.weights.input = 178257920_B;
  for (const int large : {1, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 1, 1, 1}) {
    profile.weights.layers.push_back(large != 0 ? 3995648_B : 3596288_B);
  }
  profile.weights.output = 2560_B;
  profile.weights.tied_output = true;
  profile.weights.tied_head = 178257920_B;
  return profile;
}

GgufOptions options(std::uint32_t context, std::uint32_t slots, std::uint32_t ubatch = 512) {
  return {.context = context, .slots = slots, .ubatch = ubatch};
}

model::DeviceClaim on_host(const GgufOptions& how) {
  const auto claim = gguf_claim(gemma(), how, {});
  EXPECT_TRUE(claim) << claim.error().to_string();
  return claim->devices.back();
}

// llama.cpp's judge says 233,316,864 for the plain buffers and keeps 13,271,040 more in its
// repacked copy of the Q4_K tensors (36 times 368,640): together every byte of the tensor table.
TEST(GgufClaim, CountsEveryTensorOnceOnTheHost) {
  EXPECT_EQ(on_host(options(8192, 1)).weights, 233316864_B + 13271040_B);
}

TEST(GgufClaim, KeepsTheCacheThatTheEngineReportsForOneSlot) {
  EXPECT_EQ(on_host(options(8192, 1)).kv_cache, 40894464_B);
}

TEST(GgufClaim, KeepsTheCacheThatTheEngineReportsForFourSlotsOfAQuarter) {
  EXPECT_EQ(on_host(options(2048, 4)).kv_cache, 88080384_B);
}

TEST(GgufClaim, KeepsTheCacheThatTheEngineReportsForOtherSizes) {
  EXPECT_EQ(on_host(options(32768, 1)).kv_cache, 111_MiB);
  EXPECT_EQ(on_host(options(8192, 1, 256)).kv_cache, 24_MiB + 11_MiB + 256_KiB);
  EXPECT_EQ(on_host(options(8192, 4, 256)).kv_cache, 96_MiB + 45_MiB);
}

TEST(GgufClaim, SplitsAsTheEngineDoesWithAllLayersOnADevice) {
  const LayerShare all{.device = "cuda:0", .layers = 19};
  const auto claim = gguf_claim(gemma(), options(8192, 1), std::span(&all, 1));
  ASSERT_TRUE(claim);
  ASSERT_EQ(claim->devices.size(), 2U);
  EXPECT_EQ(claim->devices[0].weights, 246587904_B);  // the tied head is copied
  EXPECT_EQ(claim->devices[0].kv_cache, 39_MiB);
  EXPECT_EQ(claim->devices[1].weights, 170_MiB);  // the token embeddings stay
  EXPECT_EQ(claim->devices[1].kv_cache, 0_B);
  EXPECT_EQ(claim->layers->on_devices, 19U);
}

// The engine reports 195.5 MiB and 21 MiB of cache on the device, 18 MiB of cache on the host.
TEST(GgufClaim, SplitsAsTheEngineDoesWithEightLayersOnADevice) {
  const LayerShare some{.device = "cuda:0", .layers = 8};
  const auto claim = gguf_claim(gemma(), options(8192, 1), std::span(&some, 1));
  ASSERT_TRUE(claim);
  EXPECT_EQ(claim->devices[0].weights, 205031936_B);
  EXPECT_EQ(claim->devices[0].kv_cache, 21_MiB);
  EXPECT_EQ(claim->devices[1].kv_cache, 18_MiB);
  EXPECT_EQ(claim->devices[1].weights, 219813888_B);
}

TEST(GgufClaim, CountsSmallerCacheTypesInBlocks) {
  auto small = options(8192, 1);
  small.key_type = CacheType::q8_0;
  small.value_type = CacheType::q4_0;
  EXPECT_EQ(on_host(small).kv_cache.count, 40894464U / 2 * 34 / 64 + 40894464U / 2 * 18 / 64);
}

TEST(GgufClaim, KeepsAllCellsOfWindowLayersOnRequest) {
  auto full = options(8192, 1);
  full.full_window_cache = true;
  EXPECT_EQ(on_host(full).kv_cache, 8_MiB * 18);
}

TEST(GgufClaim, KeepsNoCacheForAnEncoder) {
  auto profile = gemma();
  profile.architecture = "nomic-bert";
  profile.attention.kv_heads.assign(18, 0);
  const auto claim = gguf_claim(profile, options(512, 1), {});
  ASSERT_TRUE(claim);
  EXPECT_EQ(claim->devices.back().kv_cache, 0_B);
}

TEST(GgufClaim, KeepsTheStateOfRecurrentLayersForEachSlot) {
  auto profile = gemma();
  profile.attention.kv_heads[0] = 0;
  profile.attention.windowed[0] = false;
  profile.recurrent.layers.assign(18, false);
  profile.recurrent.layers[0] = true;
  profile.recurrent.state_elements = 1000;
  EXPECT_EQ(layer_cache(profile, options(8192, 2), 0), 8000_B);
  EXPECT_EQ(layer_cache(profile, options(8192, 2), 5), 16_MiB);
}

TEST(GgufClaim, UsesTheLengthsOfWindowedLayersWhereTheyDiffer) {
  auto profile = gemma();
  profile.attention.windowed_key_length = profile.attention.windowed_value_length = 128;
  EXPECT_EQ(layer_cache(profile, options(8192, 1), 0), 512_KiB);
  EXPECT_EQ(layer_cache(profile, options(8192, 1), 5), 8_MiB);
}

TEST(GgufClaim, CountsCheckpointsAndThePromptCacheOnTheHost) {
  auto plain = options(8192, 2);
  const auto before = on_host(plain).runtime;
  plain.checkpoints = 4;
  plain.prompt_cache = 100_MiB;
  EXPECT_EQ(on_host(plain).runtime, before + 15_MiB * 8 + 100_MiB);
}

TEST(GgufClaim, RefusesMoreLayersThanTheModelHas) {
  const LayerShare many{.device = "cuda:0", .layers = 20};
  EXPECT_FALSE(gguf_claim(gemma(), options(8192, 1), std::span(&many, 1)));
}

TEST(GgufClaim, RefusesAProfileThatDoesNotSayItsLayers) {
  auto profile = gemma();
  profile.attention.kv_heads.pop_back();
  const auto claim = gguf_claim(profile, options(8192, 1), {});
  ASSERT_FALSE(claim);
  EXPECT_EQ(claim.error().code, ErrorCode::unsupported);
}

TEST(GgufClaim, DoesNotOverflowOnAbsurdFigures) {
  auto profile = gemma();
  profile.attention.kv_heads.assign(18, 0xffffffffU);
  profile.attention.key_length = profile.attention.value_length = 0xffffffffU;
  profile.recurrent.layers.assign(18, true);
  profile.recurrent.state_elements = ~0ULL;
  profile.vocabulary = profile.embedding_length = profile.feed_forward_length = 0xffffffffU;
  const auto claim = gguf_claim(profile, options(0xffffffffU, 1000, 0xffffffffU), {});
  ASSERT_TRUE(claim);
  EXPECT_GT(claim->devices.back().total(), 1024_GiB * 1024);
}

struct Measured {
  const char* what;
  GgufOptions how;
  ComputeRole part;
  std::uint64_t bytes;
};

GgufOptions without_flash_attention() {
  auto how = options(8192, 1);
  how.flash_attention = false;
  return how;
}
GgufOptions with_outputs() {
  auto how = options(8192, 1);
  how.outputs_for_all_tokens = true;
  return how;
}
constexpr std::uint64_t mib(double value) { return static_cast<std::uint64_t>(value * 1048576); }

TEST(ComputeBound, IsNeverBelowWhatTheEngineReservedAndNotFarAbove) {
  const Measured rows[] = {
      {"8192, one slot", options(8192, 1), ComputeRole::cpu_alone, 28602400},
      {"2048, four slots", options(2048, 4), ComputeRole::cpu_alone, 22310944},
      {"no flash attention", without_flash_attention(), ComputeRole::cpu_alone, mib(94.3)},
      {"32768", options(32768, 1), ComputeRole::cpu_alone, mib(51.3)},
      {"embeddings", with_outputs(), ComputeRole::cpu_alone, mib(527.3)},
      {"device with all", options(8192, 1), ComputeRole::device_whole, mib(26.0)},
      {"host beside it", options(8192, 1), ComputeRole::host_whole, mib(14.0)},
      {"one of two devices", options(8192, 1), ComputeRole::device_of_many, mib(68.0)},
      {"ubatch 256", options(8192, 1, 256), ComputeRole::cpu_alone, mib(13.51)},
      {"ubatch 256, four slots", options(8192, 4, 256), ComputeRole::cpu_alone, mib(13.51)},
  };
  for (const auto& row : rows) {
    const auto bound = compute_bound(gemma(), row.how, row.part);
    EXPECT_GE(bound.count, row.bytes) << row.what;
    EXPECT_LE(bound.count, row.bytes * 21 / 10) << row.what;
  }
}

TEST(HostRuntime, CoversTheMeasuredProcess) {
  EXPECT_GE(host_runtime(gemma()), 102_MiB);
  EXPECT_LE(host_runtime(gemma()), 160_MiB);
}

TEST(CacheTypes, AreReadByTheEnginesNames) {
  EXPECT_EQ(parse_cache_type("q8_0"), CacheType::q8_0);
  EXPECT_EQ(parse_cache_type("q8"), std::nullopt);
  EXPECT_EQ(cache_bytes(CacheType::q8_0, 64), 68_B);
  EXPECT_EQ(cache_bytes(CacheType::f16, 64), 128_B);
}

TEST(GgufClaim, CountsTensorsThatFlagsMoveOnBothSidesUnlessTheEngineWasAsked) {
  auto moved = options(8192, 1);
  moved.layers_may_stay_on_host = true;
  const std::vector<LayerShare> all = {{"cuda:0", 19}};
  const auto plain = gguf_claim(gemma(), options(8192, 1), all).value();
  const auto both = gguf_claim(gemma(), moved, all).value();
  EXPECT_EQ(both.devices[0].weights, plain.devices[0].weights);
  EXPECT_GT(both.devices[1].weights, plain.devices[1].weights);

  model::ComputeTable table{.build = "b1",
                            .figures = {{ComputeRole::device_whole, 8192, 1, 1_MiB, 50_MiB},
                                        {ComputeRole::host_whole, 8192, 1, 2_MiB, 190_MiB}}};
  const auto judged = gguf_claim(gemma(), moved, all, &table).value();
  EXPECT_EQ(judged.method, model::ClaimMethod::judged);
  EXPECT_EQ(judged.devices[0].weights, 50_MiB);
  EXPECT_EQ(judged.devices[1].weights, 190_MiB);
  EXPECT_EQ(judged.devices[1].compute, 2_MiB);
  const auto untouched = gguf_claim(gemma(), options(8192, 1), all, &table).value();
  EXPECT_EQ(untouched.devices[0].weights, plain.devices[0].weights);
}

}  // namespace
}  // namespace berth::estimate
