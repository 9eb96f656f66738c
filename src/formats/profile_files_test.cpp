// profile_files: models whose files are in a set, wherever that is.
#include "formats/gguf_builder.h"
#include "formats/profile.h"

#include <map>

#include <gmock/gmock.h>

namespace berth::formats {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string text_of(const GgufBuilder& builder) {
  const auto bytes = builder.build();
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): bytes as characters
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string part(std::uint32_t number, std::uint32_t count) {
  auto builder = number == 0 ? small_model() : GgufBuilder();
  builder.u16("split.no", static_cast<std::uint16_t>(number))
      .u16("split.count", static_cast<std::uint16_t>(count));
  if (number != 0) builder.tensor(fmt::format("extra.{}.weight", number), {32});
  return text_of(builder);
}

std::string projector() {
  GgufBuilder builder;
  builder.string("general.architecture", "clip")
      .string("clip.projector_type", "mlp")
      .boolean("clip.has_vision_encoder", true)
      .u32("clip.vision.projection_dim", 128)
      .tensor("v.patch_embd.weight", {32})
      .tensor("mm.2.weight", {32, 128});
  return text_of(builder);
}

Result<model::ModelProfile> profile(std::map<std::string, std::string> files) {
  return profile_files(*files_in_memory(std::move(files)));
}

TEST(ProfileFiles, FindsTheOnlyModelWithAllItsPartsInAFolder) {
  const auto found = profile({{"README.md", "GGUF"},
                              {"Q4_K_M/m-00001-of-00003.gguf", part(0, 3)},
                              {"Q4_K_M/m-00002-of-00003.gguf", part(1, 3)},
                              {"Q4_K_M/m-00003-of-00003.gguf", part(2, 3)}});
  ASSERT_TRUE(found) << found.error().to_string();
  std::vector<std::string> paths;
  for (const auto& file : found->files) paths.push_back(file.path);
  EXPECT_THAT(paths, ElementsAre("/memory/Q4_K_M/m-00001-of-00003.gguf",
                                 "/memory/Q4_K_M/m-00002-of-00003.gguf",
                                 "/memory/Q4_K_M/m-00003-of-00003.gguf"));
}

TEST(ProfileFiles, NamesThePartThatIsMissing) {
  const auto found = profile({{"m-00001-of-00002.gguf", part(0, 2)}});
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, ErrorCode::not_found);
  EXPECT_THAT(found.error().message, HasSubstr("there is no /memory/m-00002-of-00002.gguf"));
}

TEST(ProfileFiles, FindsTheProjectorBesideTheModelAndAboveIt) {
  for (const auto* place : {"m.gguf", "Q4_K_M/m.gguf"}) {
    const auto found = profile({{place, text_of(small_model())}, {"mmproj-F16.gguf", projector()}});
    ASSERT_TRUE(found) << found.error().to_string();
    ASSERT_EQ(found->projectors.size(), 1) << place;
    EXPECT_EQ(found->projectors[0].path, "/memory/mmproj-F16.gguf");
    EXPECT_TRUE(found->projectors[0].chosen) << found->projectors[0].reason;
  }
}

TEST(ProfileFiles, RefusesToGuessAmongSeveralModels) {
  const auto found =
      profile({{"a.gguf", text_of(small_model())}, {"b.gguf", text_of(small_model())}});
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, ErrorCode::invalid_parameter);
  EXPECT_THAT(found.error().message, HasSubstr("a.gguf, b.gguf"));
}

TEST(ProfileFiles, SaysThatThereIsNoModel) {
  const auto found = profile({{"README.md", "# nothing"}});
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, ErrorCode::unsupported);
}

}  // namespace
}  // namespace berth::formats
