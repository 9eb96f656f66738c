#include "server/fit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::server {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

// 32 layers of 200 MiB and a head of 500 MiB; 128 KiB of cache a token.
model::ModelProfile llama(model::FileFormat format) {
  model::ModelProfile profile;
  profile.format = format;
  profile.architecture = "llama";
  profile.model_type = "llama";
  profile.parameters = 3'500'000'000;
  profile.context_length = 131072;
  profile.layer_count = 32;
  profile.embedding_length = 4096;
  profile.feed_forward_length = 14336;
  profile.vocabulary = 128256;
  profile.attention = {.heads = 32,
                       .kv_heads = std::vector<std::uint32_t>(32, 8),
                       .key_length = 128,
                       .value_length = 128};
  profile.weights.input = 500_MiB;
  profile.weights.layers.assign(32, 200_MiB);
  profile.weights.output = 500_MiB;
  profile.files = {{.path = "/models/llama.gguf", .size = 7400_MiB}};
  profile.total_size = 7400_MiB;
  return profile;
}

Result<DeviceFit> fit(const model::ModelProfile& profile, std::string_view backend,
                      std::vector<Bytes> devices, const std::vector<std::string>& flags = {}) {
  return fit_devices({.profile = profile,
                      .backend = *backends::builtin_backends().find(backend),
                      .parameters = flags,
                      .devices = std::move(devices),
                      .host = 64_GiB,
                      .cores = 8});
}

TEST(FitDevices, SaysThatAModelFitsWholeAndHowLongItsContextMayBe) {
  const auto profile = llama(model::FileFormat::gguf);
  const auto found = fit(profile, "llama-box", {20_GiB}, {"--parallel", "1"});
  ASSERT_TRUE(found) << found.error().to_string();
  EXPECT_EQ(found->kind, FitKind::whole);
  EXPECT_GT(found->longest_context, 65536U);
  EXPECT_LT(found->longest_context, 131072U) << "16 GiB of cache beside 7 of weights";
}

TEST(FitDevices, TheLongestContextFitsAndTheNextStepDoesNot) {
  const auto profile = llama(model::FileFormat::gguf);
  const auto longest = fit(profile, "llama-box", {12_GiB}, {"--parallel", "1"})->longest_context;
  const auto kind = [&](std::uint32_t context) {
    return fit(profile, "llama-box", {12_GiB},
               {"--parallel", "1", "--ctx-size", std::to_string(context)})
        ->kind;
  };
  EXPECT_EQ(kind(longest), FitKind::whole);
  EXPECT_NE(kind(longest + 256), FitKind::whole);
}

TEST(FitDevices, UnderVllmTooTheLongestContextFitsAndTheNextStepDoesNot) {
  const auto profile = llama(model::FileFormat::safetensors);
  const auto longest = fit(profile, "vllm", {12_GiB})->longest_context;
  ASSERT_GT(longest, 0U);
  ASSERT_LT(longest, profile.context_length);
  const auto kind = [&](std::uint32_t context) {
    return fit(profile, "vllm", {12_GiB}, {"--max-model-len", std::to_string(context)})->kind;
  };
  EXPECT_EQ(kind(longest), FitKind::whole);
  EXPECT_NE(kind(longest + 256), FitKind::whole);
  EXPECT_EQ(fit(profile, "vllm", {1_GiB})->longest_context, 0U);
  EXPECT_EQ(fit(profile, "vllm", {900_GiB})->longest_context, profile.context_length);
}

TEST(FitDevices, SaysHowManyLayersFit) {
  const auto found = fit(llama(model::FileFormat::gguf), "llama-box", {4_GiB});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->kind, FitKind::partly);
  ASSERT_TRUE(found->claim.layers);
  EXPECT_GT(found->claim.layers->on_devices, 4U);
  EXPECT_LT(found->claim.layers->on_devices, 20U);
}

TEST(FitDevices, SharesAModelOverSeveral) {
  const auto found = fit(llama(model::FileFormat::gguf), "llama-box", {8_GiB, 8_GiB});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->kind, FitKind::whole);
  EXPECT_EQ(found->claim.devices.size(), 3U) << "two devices and the host";
}

TEST(FitDevices, VllmTakesItsPartOfADeviceAndSaysHowManyTokensThatHolds) {
  const auto profile = llama(model::FileFormat::safetensors);
  const auto found = fit(profile, "vllm", {24_GiB});
  ASSERT_TRUE(found) << found.error().to_string();
  EXPECT_EQ(found->kind, FitKind::whole);
  const auto& rank = found->claim.devices.front();
  const Bytes usable{static_cast<std::uint64_t>((24_GiB).count * 0.9)};
  const auto blocks = (usable - (rank.total() - rank.kv_cache)).count / (16 * 131072ULL);
  EXPECT_EQ(found->cached_tokens, 16 * blocks);
  const auto half = fit(profile, "vllm", {24_GiB}, {"--gpu-memory-utilization", "0.5"});
  EXPECT_LT(half->cached_tokens, found->cached_tokens / 2);
}

TEST(FitDevices, VllmTakesTheCacheThatItIsGiven) {
  const auto profile = llama(model::FileFormat::safetensors);
  const auto found = fit(profile, "vllm", {24_GiB}, {"--kv-cache-memory-bytes", "4294967296"});
  ASSERT_TRUE(found) << found.error().to_string();
  EXPECT_EQ(found->claim.devices.front().kv_cache, 4_GiB);
  EXPECT_EQ(found->cached_tokens, (4_GiB).count / 131072);
  EXPECT_EQ(found->longest_context, 32512U) << "of 32,768 tokens a block is kept back";
  const auto small = fit(profile, "vllm", {24_GiB}, {"--kv-cache-memory-bytes", "1048576"});
  EXPECT_EQ(small->kind, FitKind::none);
  EXPECT_THAT(small->reasons.front(), HasSubstr("no room for one request of 8192 tokens"));
}

TEST(FitDevices, VllmUsesAsManyRanksAsItNeeds) {
  const auto found = fit(llama(model::FileFormat::safetensors), "vllm", {8_GiB, 8_GiB, 8_GiB});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->kind, FitKind::whole);
  EXPECT_EQ(found->claim.devices.size(), 2U);
}

TEST(FitDevices, SaysWhyItDoesNotFit) {
  const auto found = fit(llama(model::FileFormat::safetensors), "vllm", {6_GiB});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->kind, FitKind::none);
  ASSERT_THAT(found->reasons, testing::Not(IsEmpty()));
  EXPECT_THAT(found->reasons.front(), HasSubstr("may take 5.4 GiB of device:0"));
  EXPECT_EQ(found->longest_context, 0U);
}

TEST(FitDevices, RefusesNoneAndTooMany) {
  const auto profile = llama(model::FileFormat::gguf);
  EXPECT_EQ(fit(profile, "llama-box", {}).error().field, "devices");
  EXPECT_EQ(fit(profile, "llama-box", std::vector<Bytes>(17, 1_GiB)).error().field, "devices");
}

}  // namespace
}  // namespace berth::server
