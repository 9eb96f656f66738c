#include "estimate/classes.h"

#include <gtest/gtest.h>

namespace berth::estimate {
namespace {

model::ModelProfile speech(std::string family, Bytes weights) {
  model::ModelProfile profile;
  profile.architecture = std::move(family);
  profile.total_size = weights;
  return profile;
}

TEST(VoxBoxClaim, FollowsTheMeasuredClasses) {
  const auto base = speech("faster-whisper", 145_MiB);
  const auto on_device = vox_box_claim(base, "cuda:0");
  ASSERT_TRUE(on_device);
  EXPECT_EQ(on_device->devices[0].total(), 1_GiB);
  EXPECT_EQ(on_device->devices[0].weights, 145_MiB);
  EXPECT_EQ(on_device->devices[1].device, "cpu");
  const auto on_cpu = vox_box_claim(base, "cpu");
  ASSERT_EQ(on_cpu->devices.size(), 1U);
  EXPECT_EQ(on_cpu->devices[0].total(), 1536_MiB);
  EXPECT_EQ(vox_box_claim(speech("faster-whisper", 3_GiB), "cuda:0")->devices[0].total(), 10_GiB);
}

TEST(VoxBoxClaim, IsNeverNothingBeyondTheClasses) {
  EXPECT_EQ(vox_box_claim(speech("faster-whisper", 10_GiB), "cpu")->devices[0].total(), 40_GiB);
  EXPECT_FALSE(vox_box_claim(speech("llama", 1_GiB), "cpu"));
}

model::ModelProfile deepseek() {
  model::ModelProfile profile = speech("DeepseekV3ForCausalLM", 640_GiB);
  profile.attention = {.heads = 128,
                       .kv_heads = std::vector<std::uint32_t>(61, 1),
                       .key_length = 576,
                       .value_length = 0,
                       .latent = true};
  return profile;
}

TEST(MindieClaim, CountsLatentAttentionByItsRankOnEveryNpu) {
  const auto claim = mindie_claim(deepseek(), {.context = 8192, .ranks = 16}, {"npu:0"});
  ASSERT_TRUE(claim) << claim.error().to_string();
  EXPECT_EQ(claim->devices[0].kv_cache, Bytes{61ULL * 576 * 8192 * 2});
  EXPECT_EQ(claim->devices[0].weights, 40_GiB);
  EXPECT_EQ(claim->devices[0].runtime, 3_GiB);
  EXPECT_EQ(claim->devices[1].device, "cpu");
  EXPECT_EQ(claim->devices[1].total(), 5_GiB + 512_MiB);
}

TEST(MindieClaim, SharesHeadsAmongRanks) {
  auto profile = speech("LlamaForCausalLM", 16_GiB);
  profile.attention = {.heads = 32,
                       .kv_heads = std::vector<std::uint32_t>(32, 8),
                       .key_length = 128,
                       .value_length = 128};
  const auto cache = [&](std::uint32_t ranks) {
    return mindie_claim(profile, {.context = 1000, .ranks = ranks}, {"npu:0"})->devices[0].kv_cache;
  };
  EXPECT_EQ(cache(1), 131072_B * 1000);
  EXPECT_EQ(cache(2), 65536_B * 1000);
  EXPECT_EQ(cache(16), 16384_B * 1000);
}

TEST(MindieClaim, RefusesToGuess) {
  auto profile = deepseek();
  profile.unknown_cache = "x";
  EXPECT_EQ(mindie_claim(profile, {}, {"npu:0"}).error().code, ErrorCode::unsupported);
}

}  // namespace
}  // namespace berth::estimate
