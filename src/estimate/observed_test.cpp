#include "estimate/observed.h"

#include <gtest/gtest.h>

namespace berth::estimate {
namespace {

model::Claim claim_of(Bytes runtime, std::uint32_t on_devices = 0) {
  model::Claim claim{.method = model::ClaimMethod::judged};
  claim.devices = {{.device = "cpu",
                    .weights = 600_MiB,
                    .kv_cache = 200_MiB,
                    .compute = 200_MiB,
                    .runtime = runtime}};
  claim.layers = model::LayerSplit{.on_devices = on_devices, .total = 19};
  return claim;
}

TEST(Observed, RaisesAndLowersTheGuessedPart) {
  for (const auto guessed : {20_MiB, 500_MiB}) {
    auto claim = claim_of(guessed);
    apply_observed({.host = 1050_MiB}, claim);
    EXPECT_EQ(claim.method, model::ClaimMethod::observed);
    EXPECT_EQ(claim.devices[0].runtime, 71_MiB);  // 1050 and 2 %, less 1000
    EXPECT_EQ(claim.devices[0].weights, 600_MiB);
    EXPECT_EQ(claim.devices[0].compute, 200_MiB);
  }
}

TEST(Observed, DoesNotBelieveLessThanTheEnginesOwnBuffers) {
  auto claim = claim_of(100_MiB);
  apply_observed({.host = 700_MiB}, claim);
  EXPECT_EQ(claim.method, model::ClaimMethod::judged);
  EXPECT_EQ(claim.devices[0].runtime, 100_MiB);
}

TEST(Observed, IsFoundByBuildServingAndLayers) {
  const model::Observation seen{
      .model = "chat",
      .layouts = {{.build = "b1", .serving = {.context = 4096, .slots = 2}, .host = 1_GiB},
                  {.build = "b1",
                   .serving = {.context = 4096, .slots = 2},
                   .layers_on_devices = 5,
                   .host = 2_GiB}}};
  const auto find = [&](std::string_view build, model::Serving serving, std::uint32_t layers) {
    return find_observed(&seen, build, serving, claim_of({}, layers));
  };
  ASSERT_NE(find("b1", {4096, 2}, 0), nullptr);
  EXPECT_EQ(find("b1", {4096, 2}, 0)->host, 1_GiB);
  EXPECT_EQ(find("b1", {4096, 2}, 5)->host, 2_GiB);
  EXPECT_EQ(find("b2", {4096, 2}, 0), nullptr);
  EXPECT_EQ(find("b1", {4096, 1}, 0), nullptr);
  EXPECT_EQ(find("b1", {8192, 2}, 0), nullptr);
  EXPECT_EQ(find("b1", {4096, 2}, 6), nullptr);
  EXPECT_EQ(find_observed(nullptr, "b1", {4096, 2}, claim_of({})), nullptr);
}

}  // namespace
}  // namespace berth::estimate
