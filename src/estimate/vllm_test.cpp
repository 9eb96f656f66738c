#include "estimate/vllm.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::estimate {
namespace {

using testing::HasSubstr;

// Llama 3.1 8B as published: 16,060,522,496 bytes of weights in 16 bits.
model::ModelProfile llama() {
  model::ModelProfile profile;
  profile.format = model::FileFormat::safetensors;
  profile.architecture = "LlamaForCausalLM";
  profile.context_length = 131072;
  profile.layer_count = 32;
  profile.embedding_length = 4096;
  profile.feed_forward_length = 14336;
  profile.vocabulary = 128256;
  profile.weight_type = profile.quantization = "BF16";
  profile.attention = {.heads = 32,
                       .kv_heads = std::vector<std::uint32_t>(32, 8),
                       .key_length = 128,
                       .value_length = 128};
  profile.weights.input = 1050673152_B;
  profile.weights.layers.assign(32, 436224000_B);  // norms of 16,384 included
  profile.weights.output = 1050673152_B + 8192_B;
  profile.weights.key_value = 16777216_B * 32;
  profile.weights.replicated = 16384_B * 32 + 8192_B;
  return profile;
}

TEST(VllmEstimate, WeightsOfOneRankAreAllOfThem) {
  EXPECT_EQ(vllm_rank_weights(llama(), {}), 16060522496_B);
}

TEST(VllmEstimate, RanksShareAllButNorms) {
  const auto profile = llama();
  const Bytes shared = 16060522496_B - profile.weights.replicated;
  EXPECT_EQ(vllm_rank_weights(profile, {.tensor_parallel = 4}),
            profile.weights.replicated + Bytes{shared.count / 4});
}

TEST(VllmEstimate, RanksBeyondTheKvHeadsHoldCopies) {
  const auto profile = llama();
  const Bytes rest = 16060522496_B - profile.weights.replicated - profile.weights.key_value;
  EXPECT_EQ(vllm_rank_weights(profile, {.tensor_parallel = 16}),
            profile.weights.replicated + Bytes{rest.count / 16} +
                Bytes{profile.weights.key_value.count / 8});
}

TEST(VllmEstimate, WeightsOf32BitsAreLoadedAs16) {
  auto profile = llama();
  profile.weight_type = profile.quantization = "F32";
  EXPECT_EQ(vllm_rank_weights(profile, {}), Bytes{16060522496 / 2});
}

TEST(VllmEstimate, GroupsShareTheLayers) {
  const auto profile = llama();
  EXPECT_EQ(vllm_rank_weights(profile, {.pipeline_parallel = 2}),
            436224000_B * 16 + profile.weights.output);
}

TEST(VllmEstimate, TheLeastCacheIsThatOfOneRequestAndTheBlockKeptBack) {
  const auto claim = vllm_claim(llama(), {.context = 8192}, {"cuda:0"});
  ASSERT_TRUE(claim);
  EXPECT_EQ(claim->devices.front().kv_cache, 131072_B * (8192 + 16));
}

TEST(VllmEstimate, RefusesToGuess) {
  auto profile = llama();
  profile.unknown_cache = "layer_types has \"x\"";
  const auto claim = vllm_claim(profile, {.context = 8192}, {"cuda:0"});
  ASSERT_FALSE(claim);
  EXPECT_EQ(claim.error().code, ErrorCode::unsupported);
  EXPECT_THAT(claim.error().message, HasSubstr("layer_types"));
}

TEST(VllmEstimate, FiguresOfAHostileFileDoNotOverflow) {
  auto profile = llama();
  profile.attention.kv_heads.assign(32, 0xffffffffU);
  profile.attention.key_length = profile.attention.value_length = 0xffffffffU;
  EXPECT_GT(vllm_sequence_cache(profile, {}, 0xffffffffU).value(), 1024_GiB);
}

TEST(TensorParallel, NeedsHeadsThatDivide) {
  EXPECT_TRUE(check_tensor_parallel(llama(), 8));
  EXPECT_TRUE(check_tensor_parallel(llama(), 16));
  EXPECT_THAT(check_tensor_parallel(llama(), 3).error().message, HasSubstr("32 attention heads"));
  auto odd = llama();
  odd.attention.heads = 12;
  odd.attention.kv_heads.assign(32, 4);
  EXPECT_THAT(check_tensor_parallel(odd, 6).error().message, HasSubstr("keys and values"));
}

}  // namespace
}  // namespace berth::estimate
