#include "formats/layout_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::formats {
namespace {

using model::FileFormat;
using testing::ElementsAre;
using testing::HasSubstr;

using Files = std::map<std::string, std::string>;

Result<StoredWeights> weights(Files files, std::string_view folder = "unet/") {
  return loaded_weights(*files_in_memory(std::move(files)), folder, {"diffusion_pytorch_model"});
}

std::vector<std::string> paths_of(Files files) {
  std::vector<std::string> paths;
  const auto found = weights(std::move(files));
  for (const auto& file : found.value().files) paths.push_back(file.path);
  return paths;
}

constexpr auto kIndex = R"({"metadata": {"total_size": 9}, "weight_map": {"a": "b-2.safetensors",
                            "c": "b-1.safetensors", "d": "b-2.safetensors"}})";

TEST(LoadedWeights, PrefersPlainSafetensors) {
  EXPECT_THAT(paths_of({{"unet/diffusion_pytorch_model.bin", "x"},
                        {"unet/diffusion_pytorch_model.fp16.bin", "x"},
                        {"unet/diffusion_pytorch_model.fp16.safetensors", "x"},
                        {"unet/diffusion_pytorch_model.non_ema.safetensors", "x"},
                        {"unet/diffusion_pytorch_model.safetensors", "x"},
                        {"diffusion_pytorch_model.safetensors", "x"}}),
              ElementsAre("unet/diffusion_pytorch_model.safetensors"));
}

TEST(LoadedWeights, PrefersAVariantOfSafetensorsToAPickle) {
  EXPECT_THAT(paths_of({{"unet/diffusion_pytorch_model.bin", "x"},
                        {"unet/diffusion_pytorch_model.fp16.safetensors", "x"}}),
              ElementsAre("unet/diffusion_pytorch_model.fp16.safetensors"));
}

TEST(LoadedWeights, TakesAPickleWhereThereIsNothingElse) {
  const auto found = weights({{"unet/diffusion_pytorch_model.bin", "x"}});
  EXPECT_EQ(found.value().format, FileFormat::pytorch);
  EXPECT_EQ(found.value().files.size(), 1U);
}

TEST(LoadedWeights, TakesEachFileOfAnIndexOnce) {
  const Files shards = {{"unet/b-1.safetensors", "x"},
                        {"unet/b-2.safetensors", "x"},
                        {"unet/b-3.safetensors", "not named"}};
  auto plain = shards;
  plain["unet/diffusion_pytorch_model.safetensors.index.json"] = kIndex;
  EXPECT_THAT(paths_of(plain), ElementsAre("unet/b-1.safetensors", "unet/b-2.safetensors"));
  auto variant = shards;
  variant["unet/diffusion_pytorch_model.safetensors.index.fp16.json"] = kIndex;
  EXPECT_EQ(paths_of(variant), paths_of(plain));
}

TEST(LoadedWeights, NamesTheShardThatIsNotThere) {
  const auto found = weights({{"unet/diffusion_pytorch_model.safetensors.index.json", kIndex},
                              {"unet/b-1.safetensors", "x"}});
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, ErrorCode::not_found);
  EXPECT_THAT(found.error().to_string(), HasSubstr("b-2.safetensors"));
}

TEST(LoadedWeights, RefusesAnIndexThatNamesNothingOrElsewhere) {
  constexpr auto kPath = "unet/diffusion_pytorch_model.safetensors.index.json";
  for (const char* index : {"", "[]", "{}", R"({"weight_map": []})", R"({"weight_map": {}})",
                            R"({"weight_map": {"a": 1}})"}) {
    const auto found = weights({{kPath, index}});
    ASSERT_FALSE(found) << index;
    EXPECT_EQ(found.error().code, ErrorCode::corrupt);
    EXPECT_THAT(found.error().message, HasSubstr(kPath));
  }
  EXPECT_EQ(weights({{kPath, R"({"weight_map": {"a": "../../../etc/passwd"}})"}}).error().code,
            ErrorCode::not_found);
}

TEST(LoadedWeights, IsEmptyWhereThereIsNoneOfTheNames) {
  EXPECT_TRUE(
      weights({{"unet/config.json", "{}"}, {"unet/model.safetensors", "x"}}).value().files.empty());
}

}  // namespace
}  // namespace berth::formats
