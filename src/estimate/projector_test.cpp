#include "estimate/projector.h"

#include <gtest/gtest.h>

namespace berth::estimate {
namespace {

constexpr std::uint64_t mib(double value) { return static_cast<std::uint64_t>(value * 1048576); }

model::Projector projector(std::uint32_t width, model::EncoderShape encoder) {
  return {.path = "/m/mmproj.gguf",
          .size = 800_MiB,
          .vision = true,
          .width = width,
          .encoder = encoder};
}

// SigLIP of Gemma 3.
model::Projector gemma() {
  return projector(2560, {.block_count = 27,
                          .embedding_length = 1152,
                          .feed_forward_length = 4304,
                          .heads = 16,
                          .image_size = 896,
                          .patch_size = 14,
                          .merge = 4,
                          .patches = 4097});
}

model::Projector qwen(bool windowed) {
  return projector(3584, {.block_count = 32,
                          .embedding_length = 1280,
                          .feed_forward_length = windowed ? 3420U : 5120U,
                          .heads = 16,
                          .gated = windowed,
                          .windowed = windowed,
                          .image_size = 560,
                          .patch_size = 14,
                          .merge = 2,
                          .most_tokens = 4096,
                          .patches = 16384});
}

model::EncoderShape clip(std::uint32_t image_size, std::uint64_t patches) {
  return {.block_count = 24,
          .embedding_length = 1024,
          .feed_forward_length = 4096,
          .heads = 16,
          .image_size = image_size,
          .patch_size = 14,
          .patches = patches};
}

model::Projector pixtral() {
  auto encoder = clip(1540, 4096);
  encoder.gated = true;
  encoder.merge = 2;
  encoder.most_tokens = 1024;
  return projector(5120, encoder);
}

model::Projector internvl() {
  auto encoder = clip(448, 1025);
  encoder.merge = 2;
  return projector(896, encoder);
}

struct Measured {
  const char* what;
  model::Projector projector;
  ProjectorOptions how;
  double mebibytes;  // the engine's compute buffer for that image
};

TEST(ProjectorCompute, IsNeverBelowWhatTheEngineReservedAndNotFarAbove) {
  const ProjectorOptions host{.on_device = false};
  const ProjectorOptions plain{.on_device = false, .flash_attention = false};
  // The engine tries Qwen's with 46 × 46 tokens, and Pixtral's with 16 × 16.
  const ProjectorOptions tried{.on_device = false, .most_tokens = 2116};
  const ProjectorOptions small{.on_device = false, .most_tokens = 256};
  const model::EncoderShape smol{.block_count = 12,
                                 .embedding_length = 768,
                                 .feed_forward_length = 3072,
                                 .heads = 12,
                                 .image_size = 512,
                                 .patch_size = 16,
                                 .merge = 4,
                                 .patches = 1025};
  const Measured rows[] = {
      {"gemma3", gemma(), host, 121.25},
      {"gemma3, no flash attention", gemma(), plain, 1132.0},
      {"llava 1.5", projector(4096, clip(336, 577)), host, 21.55},
      {"qwen2vl", qwen(false), tried, 267.08},
      {"qwen2.5vl", qwen(true), tried, 569.7},
      {"pixtral", pixtral(), small, 64.62},
      {"smolvlm", projector(960, smol), host, 21.0},
      {"internvl", internvl(), host, 28.03},
      {"internvl, no flash attention", internvl(), plain, 80.14},
  };
  for (const auto& row : rows) {
    const auto bound = projector_compute(row.projector, row.how);
    EXPECT_GE(bound.count, mib(row.mebibytes)) << row.what;
    EXPECT_LE(bound.count, mib(row.mebibytes) * 2) << row.what;
  }
}

TEST(ProjectorCompute, IsBoundedByTheTokensOfAnImage) {
  auto large = qwen(true);
  large.encoder.most_tokens = 62500;
  EXPECT_EQ(patches_at_once(large, {}), 4096U * 4);
  EXPECT_EQ(patches_at_once(large, {.most_tokens = 256}), 256U * 4);
  EXPECT_EQ(patches_at_once(gemma(), {.most_tokens = 64}), 4097U);  // brought to one size
}

TEST(ProjectorCompute, CountsScoresOnADeviceWithoutAKernelForItsHeads) {
  auto odd = gemma();
  EXPECT_EQ(projector_compute(odd, {}), projector_compute(odd, {.on_device = false}));
  odd.encoder.heads = 12;  // 96 has one
  EXPECT_EQ(projector_compute(odd, {}), projector_compute(odd, {.on_device = false}));
  odd.encoder.heads = 18;  // of 64
  odd.encoder.embedding_length = 18 * 88;
  EXPECT_EQ(projector_compute(odd, {}) - projector_compute(odd, {.on_device = false}),
            Bytes{4097ULL * 4097 * 18 * 4});
}

TEST(ProjectorCompute, DoesNotOverflowOnAbsurdFigures) {
  auto absurd = qwen(true);
  absurd.encoder.embedding_length = absurd.encoder.heads = absurd.encoder.merge = 0xffffffffU;
  absurd.encoder.patches = ~0ULL;
  EXPECT_GT(projector_compute(absurd, {.flash_attention = false}), 1024_GiB);
}

TEST(AddProjector, GoesToTheFirstDeviceOrTheHost) {
  const auto claim_of = [](const ProjectorOptions& options, bool device) {
    model::Claim claim;
    if (device) claim.devices = {{.device = "cuda:0"}, {.device = "cuda:1"}};
    claim.devices.push_back({.device = "cpu"});
    add_projector(gemma(), options, claim);
    return claim;
  };
  const auto on_device = claim_of({}, true);
  EXPECT_EQ(on_device.devices[0].weights, 800_MiB);
  EXPECT_GT(on_device.devices[0].compute, 121_MiB);
  EXPECT_EQ(on_device.devices[1].total(), 0_B);
  EXPECT_EQ(on_device.devices[2].total(), 0_B);
  EXPECT_EQ(claim_of({.on_device = false}, true).devices[2].weights, 800_MiB);
  EXPECT_EQ(claim_of({.on_device = false}, true).devices[0].total(), 0_B);
  EXPECT_EQ(claim_of({}, false).devices[0].weights, 800_MiB);
}

}  // namespace
}  // namespace berth::estimate
