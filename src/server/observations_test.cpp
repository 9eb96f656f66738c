#include "server/observations.h"

#include <gtest/gtest.h>

namespace berth::server {
namespace {

model::Model model_of(std::vector<std::string> flags = {}) {
  model::Model model{.deployment = {.name = "chat", .source = "/m/a.gguf"}, .backend = "llama-box"};
  model.deployment.parameters = std::move(flags);
  model.profile.files = {{.path = "/m/a.gguf", .size = 1_GiB}};
  return model;
}

model::Instance instance_of(std::uint32_t context = 4096) {
  model::Instance instance{.name = "chat-1", .model = "chat"};
  instance.placement = model::Placement{.worker = "a", .pack = "one"};
  instance.serving = model::Serving{.context = context, .slots = 1};
  return instance;
}

TEST(ObservationName, DependsOnFilesBackendAndFlagsOnly) {
  auto renamed = model_of();
  renamed.deployment.name = "other";
  renamed.deployment.replicas = 7;
  EXPECT_EQ(observation_name(model_of()), observation_name(renamed));
  EXPECT_NE(observation_name(model_of()), observation_name(model_of({"--parallel", "2"})));
  auto grown = model_of();
  grown.profile.files[0].size = 2_GiB;
  EXPECT_NE(observation_name(model_of()), observation_name(grown));
}

TEST(NoteSighting, KeepsTheMostThatWasSeenOfEachLayout) {
  const auto model = model_of();
  const auto instance = instance_of();
  model::Observation known;
  const auto note = [&](Bytes resident) {
    return note_sighting({model, instance, "b1", resident}, "now", known);
  };
  EXPECT_TRUE(note(1000_MiB));
  EXPECT_FALSE(note(1005_MiB)) << "less than 1 % more is no news";
  EXPECT_FALSE(note(500_MiB));
  EXPECT_TRUE(note(1100_MiB));
  ASSERT_EQ(known.layouts.size(), 1U);
  EXPECT_EQ(known.layouts[0].host, 1100_MiB);
  EXPECT_EQ(known.layouts[0].build, "b1");
  EXPECT_EQ(known.model, "chat");
  const auto longer = instance_of(8192);
  EXPECT_TRUE(note_sighting({model, longer, "b1", 10_MiB}, "now", known));
  EXPECT_TRUE(note_sighting({model, longer, "b2", 10_MiB}, "now", known));
  EXPECT_EQ(known.layouts.size(), 3U);
}

TEST(NoteSighting, IsNothingWithoutAPlacementOrAFigure) {
  model::Observation known;
  EXPECT_FALSE(note_sighting({model_of(), model::Instance{}, "b1", 1_GiB}, "now", known));
  EXPECT_FALSE(note_sighting({model_of(), instance_of(), "b1", {}}, "now", known));
}

TEST(NoteSighting, IsBounded) {
  model::Observation known;
  const auto model = model_of();
  for (std::uint32_t i = 1; i <= kMostLayouts + 5; ++i) {
    const auto instance = instance_of(i * 256);
    EXPECT_TRUE(note_sighting({model, instance, "b1", 1_GiB}, "now", known));
  }
  EXPECT_EQ(known.layouts.size(), kMostLayouts);
  EXPECT_EQ(known.layouts.back().serving.context, (kMostLayouts + 5) * 256);
}

}  // namespace
}  // namespace berth::server
