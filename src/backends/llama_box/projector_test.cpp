#include "backends/llama_box/projector.h"

#include "backends/check.h"
#include "backends/llama_box/llama_box.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::backends::llama_box {
namespace {

using model::Projector;
using testing::HasSubstr;

model::ModelProfile vision_model() {
  model::ModelProfile profile{.format = model::FileFormat::gguf, .architecture = "gemma3"};
  profile.parameters = 4'000'000'000;
  profile.layer_count = 1;
  profile.attention = {.heads = 1, .kv_heads = {1}, .key_length = 64, .value_length = 64};
  profile.weights.layers = {100_MiB};
  profile.files = {{.path = "/m/repo/Q4_K_M/model.gguf", .size = 100_MiB}};
  const model::EncoderShape encoder{.embedding_length = 1152,
                                    .feed_forward_length = 4304,
                                    .heads = 16,
                                    .image_size = 896,
                                    .patch_size = 14,
                                    .merge = 4,
                                    .patches = 4097};
  const auto add = [&](std::string path, bool usable, bool chosen, std::string reason) {
    profile.projectors.push_back({.path = std::move(path),
                                  .size = 800_MiB,
                                  .vision = true,
                                  .whole_images = true,
                                  .encoder = encoder,
                                  .usable = usable,
                                  .chosen = chosen,
                                  .reason = std::move(reason)});
  };
  add("/m/repo/Q4_K_M/mmproj-F16.gguf", true, true, "the only one that fits");
  add("/m/repo/mmproj-Q8_0.gguf", true, false, "mmproj-F16.gguf lies beside the model");
  add("/m/repo/Q4_K_M/mmproj-wide.gguf", false, false, "it projects to 8 elements");
  return profile;
}

Result<const Projector*> chosen(const model::ModelProfile& profile,
                                const std::vector<std::string>& flags) {
  const auto parameters = parse_parameters(llama_box_descriptor(), flags);
  EXPECT_TRUE(parameters) << parameters.error().to_string();
  return projector_of(profile, *parameters);
}

std::string path_of(const std::vector<std::string>& flags) {
  const auto profile = vision_model();
  const auto found = chosen(profile, flags);
  if (!found) return found.error().message;
  return *found == nullptr ? "none" : (*found)->path;
}

TEST(ProjectorOf, IsTheProfilesChoiceUnlessTheUserSaysOtherwise) {
  EXPECT_EQ(path_of({}), "/m/repo/Q4_K_M/mmproj-F16.gguf");
  EXPECT_EQ(path_of({"--mmproj", "mmproj-F16.gguf"}), "/m/repo/Q4_K_M/mmproj-F16.gguf");
  EXPECT_EQ(path_of({"--no-mmproj"}), "none");
  EXPECT_EQ(path_of({"--no-mmproj-auto"}), "none");
  EXPECT_EQ(path_of({"--mmproj", "none"}), "none");
}

TEST(ProjectorOf, FindsANameFromTheModelsFolderOrItsRepositorysRoot) {
  for (const char* name : {"mmproj-Q8_0.gguf", "../mmproj-Q8_0.gguf", "./x/../mmproj-Q8_0.gguf",
                           "/m/repo/mmproj-Q8_0.gguf", "/m/repo/Q4_K_M/../mmproj-Q8_0.gguf"}) {
    EXPECT_EQ(path_of({"--mmproj", name}), "/m/repo/mmproj-Q8_0.gguf") << name;
  }
  EXPECT_EQ(path_of({"--mmproj", "Q4_K_M/mmproj-F16.gguf"}), "/m/repo/Q4_K_M/mmproj-F16.gguf");
}

TEST(ProjectorOf, RefusesWhatIsNotThereOrLeadsOutside) {
  EXPECT_THAT(path_of({"--mmproj", "absent.gguf"}),
              HasSubstr("no such projector with the model; there are mmproj-F16.gguf, "));
  for (const char* name : {"../../other/mmproj.gguf", "/etc/passwd", "x/../../../y.gguf"}) {
    EXPECT_THAT(path_of({"--mmproj", name}), HasSubstr("leads outside")) << name;
  }
  EXPECT_THAT(path_of({"--mmproj", "mmproj-wide.gguf"}),
              HasSubstr("can not serve this model: it projects to 8 elements"));
  EXPECT_THAT(path_of({"--mmproj", "mmproj-F16.gguf", "--no-mmproj"}),
              HasSubstr("can not stand together"));
}

TEST(ProjectorOf, IsNoneForModelsThatAnswerWithVectors) {
  auto profile = vision_model();
  profile.category = model::Category::embedding;
  EXPECT_EQ(chosen(profile, {}).value(), nullptr);
  EXPECT_FALSE(chosen(profile, {"--mmproj", "mmproj-F16.gguf"}));
}

model::Claim claim(const model::ModelProfile& profile, const std::vector<std::string>& flags,
                   bool device) {
  const auto parameters = parse_parameters(llama_box_descriptor(), flags);
  EstimateRequest request{.profile = profile,
                          .parameters = *parameters,
                          .serving = {.context = 4096, .slots = 1},
                          .devices = {}};
  if (device) request.devices.push_back({"cuda:0", 2});
  return LlamaBox().estimate(request).value();
}

TEST(ProjectorClaim, CountsItOnTheDeviceThatGetsIt) {
  const auto profile = vision_model();
  const auto with = claim(profile, {}, true);
  const auto host = claim(profile, {"--no-mmproj-offload"}, true);
  const auto none = claim(profile, {"--no-mmproj"}, true);
  EXPECT_EQ(with.devices[0].weights, none.devices[0].weights + 800_MiB);
  EXPECT_GE(with.devices[0].compute, none.devices[0].compute + 121_MiB);
  EXPECT_EQ(host.devices[0].weights, none.devices[0].weights);
  EXPECT_EQ(host.devices[1].weights, none.devices[1].weights + 800_MiB);
  EXPECT_EQ(claim(profile, {}, false).devices[0].weights,
            claim(profile, {"--mmproj", "none"}, false).devices[0].weights + 800_MiB);
}

TEST(ProjectorSettings, MakeRoomForAWholeImageInABatch) {
  const auto profile = vision_model();
  const auto batch = [&](const std::vector<std::string>& flags) {
    const auto parameters = parse_parameters(llama_box_descriptor(), flags);
    const auto settings =
        settings_of(profile, *parameters, {.context = 4096, .slots = 1}, false, 2);
    EXPECT_LE(settings.ubatch, settings.batch);
    return settings.ubatch;
  };
  EXPECT_EQ(batch({"--no-mmproj"}), 32U);
  EXPECT_EQ(batch({}), kWholeImageBatch);
  const auto small = parse_parameters(llama_box_descriptor(), {"--ubatch-size", "128"});
  const auto checked = LlamaBox().check(profile, *small);
  ASSERT_FALSE(checked);
  EXPECT_THAT(checked.error().message, HasSubstr("--ubatch-size 128 is less than the 256 tokens"));
}

TEST(ProjectorFlags, SomeAreNotAskedOfThePack) {
  const model::EnginePack pack{.flags = {{.flag = "--mmproj", .aliases = {}}}};
  const auto parameters =
      parse_parameters(llama_box_descriptor(), {"--no-mmproj", "--mmproj", "none", "--top-k", "3"});
  ASSERT_TRUE(parameters);
  EXPECT_THAT(unsupported_flags(pack, *parameters), testing::ElementsAre("--top-k"));
}

}  // namespace
}  // namespace berth::backends::llama_box
