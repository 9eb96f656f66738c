#include "formats/weight_files.h"

#include "formats/safetensors_builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::formats {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> found_in(std::map<std::string, std::string> files,
                                  std::string_view folder = "") {
  const auto set = files_in_memory(std::move(files));
  const auto weights = find_weights(*set, folder);
  EXPECT_TRUE(weights) << weights.error().to_string();
  std::vector<std::string> paths;
  for (const auto& file : weights.value().files) paths.push_back(file.path);
  return paths;
}

TEST(FindWeights, TakesSafetensorsBeforeBin) {
  EXPECT_THAT(found_in({{"model.safetensors", ""}, {"pytorch_model.bin", ""}}),
              ElementsAre("model.safetensors"));
  EXPECT_THAT(found_in({{"pytorch_model.bin", ""}, {"training_args.bin", ""}, {"x.pt", ""}}),
              ElementsAre("pytorch_model.bin"));
}

TEST(FindWeights, CountsNoCopies) {
  EXPECT_THAT(found_in({{"model-00001-of-00002.safetensors", ""},
                        {"model-00002-of-00002.safetensors", ""},
                        {"consolidated.safetensors", ""},
                        {"adapter_model.safetensors", ""}}),
              ElementsAre("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"));
  EXPECT_THAT(found_in({{"model.safetensors", ""}, {"model.fp16.safetensors", ""}}),
              ElementsAre("model.safetensors"));
  EXPECT_THAT(found_in({{"model.fp16.safetensors", ""}}), ElementsAre("model.fp16.safetensors"));
  // openai/whisper-large-v3 has its copy in parts.
  EXPECT_THAT(found_in({{"model.safetensors", ""},
                        {"model.fp32-00001-of-00002.safetensors", ""},
                        {"model.fp32-00002-of-00002.safetensors", ""}}),
              ElementsAre("model.safetensors"));
  EXPECT_THAT(found_in({{"consolidated.safetensors", ""}, {"params.json", "{}"}}),
              ElementsAre("consolidated.safetensors"));
}

TEST(FindWeights, FollowsTheIndex) {
  EXPECT_THAT(
      found_in({{"a.safetensors", ""},
                {"old.safetensors", ""},
                {"model.safetensors.index.json", R"({"weight_map": {"w": "a.safetensors"}})"}}),
      ElementsAre("a.safetensors"));
}

constexpr const char* kIndexOfThree = R"({"weight_map": {
    "a": "model-1.safetensors", "b": "model-2.safetensors", "c": "model-3.safetensors"}})";

TEST(FindWeights, NamesTheShardsThatAreMissing) {
  struct Case {
    std::vector<std::string> present;
    const char* message;
  };
  for (const Case& c : {
           Case{{"model-1.safetensors", "model-3.safetensors"},
                "lacks 1 of the 3 files that it names: model-2.safetensors"},
           Case{{"model-2.safetensors"},
                "lacks 2 of the 3 files that it names: model-1.safetensors, "
                "model-3.safetensors"},
           Case{{},
                "lacks 3 of the 3 files that it names: model-1.safetensors, "
                "model-2.safetensors, model-3.safetensors"},
       }) {
    std::map<std::string, std::string> files = {{"model.safetensors.index.json", kIndexOfThree}};
    for (const auto& path : c.present) files[path] = "";
    const auto weights = find_weights(*files_in_memory(std::move(files)));
    ASSERT_FALSE(weights);
    EXPECT_EQ(weights.error().code, ErrorCode::not_found);
    EXPECT_THAT(weights.error().message, HasSubstr("model.safetensors.index.json: "));
    EXPECT_THAT(weights.error().message, HasSubstr(c.message));
  }
}

TEST(FindWeights, NamesOnlyTheFirstOfManyMissingShards) {
  std::string map;
  for (int i = 10; i < 50; ++i) map += fmt::format(R"(,"{0}": "m-{0}.safetensors")", i);
  const auto set = files_in_memory(
      {{"vae/model.safetensors.index.json", R"({"weight_map": {)" + map.substr(1) + "}}"}});
  const auto message = find_weights(*set, "vae/").error().message;
  EXPECT_THAT(
      message,
      HasSubstr("lacks 40 of the 40 files that it names: m-10.safetensors, m-11.safetensors, "));
  EXPECT_THAT(message, HasSubstr(" and 32 more"));
}

TEST(FindWeights, AnIndexWithoutItsShardsYieldsToOtherWeights) {
  EXPECT_THAT(
      found_in({{"model.safetensors.index.json", kIndexOfThree}, {"pytorch_model.bin", ""}}),
      ElementsAre("pytorch_model.bin"));
}

TEST(FindWeights, LooksForNoShardOutsideOfTheSet) {
  const auto set = files_in_memory(
      {{"a.safetensors", ""},
       {"model.safetensors.index.json", R"({"weight_map": {"w": "../a.safetensors"}})"}});
  EXPECT_EQ(find_weights(*set).error().code, ErrorCode::not_found);
}

TEST(FindWeights, RefusesABrokenIndex) {
  for (const char* index : {"[]", "{}", R"({"weight_map": []})", R"({"weight_map": {"w": 1}})"}) {
    const auto set =
        files_in_memory({{"a.safetensors", ""}, {"model.safetensors.index.json", index}});
    EXPECT_EQ(find_weights(*set).error().code, ErrorCode::corrupt) << index;
  }
}

TEST(FindWeights, LooksInOneFolderOnly) {
  EXPECT_THAT(found_in({{"vae/x.safetensors", ""}, {"unet/y.safetensors", ""}}, "vae/"),
              ElementsAre("vae/x.safetensors"));
  EXPECT_THAT(found_in({{"vae/x.safetensors", ""}}), ElementsAre());
}

Result<WeightSums> sums_of(const SafetensorsBuilder& builder, WeightQuestion question) {
  const auto set = files_in_memory({{"model.safetensors", builder.build()}});
  BERTH_TRY(const auto weights, find_weights(*set));
  return sum_safetensors(*set, weights, question);
}

TEST(SumSafetensors, PutsTensorsWhereTheyBelong) {
  const auto sums = sums_of(SafetensorsBuilder()
                                .bf16("model.embed_tokens.weight", {100})
                                .bf16("model.layers.0.self_attn.q_proj.weight", {10})
                                .bf16("model.layers.0.self_attn.k_proj.weight", {4})
                                .bf16("model.layers.0.input_layernorm.weight", {2})
                                .bf16("model.layers.1.mlp.up_proj.weight", {20})
                                .bf16("model.layers.2.eh_proj.weight", {1000})
                                .bf16("model.norm.weight", {3})
                                .bf16("lm_head.weight", {100})
                                .bf16("visual.blocks.0.attn.weight", {50}),
                            {.layers = 2, .heads = 4, .kv_heads = 2});
  ASSERT_TRUE(sums) << sums.error().to_string();
  const auto& sizes = sums->sizes;
  EXPECT_EQ(sizes.input, 200_B);
  EXPECT_THAT(sizes.layers, ElementsAre(32_B, 40_B));
  EXPECT_EQ(sizes.output, 206_B);
  EXPECT_EQ(sizes.encoders, 100_B);
  EXPECT_EQ(sizes.key_value, 8_B);
  EXPECT_EQ(sizes.replicated, 10_B);
  EXPECT_FALSE(sizes.tied_output);
  EXPECT_EQ(sums->parameters, 289U);
  EXPECT_EQ(sums->dominant_type, "BF16");
}

TEST(SumSafetensors, ATiedHeadIsTheEmbeddings) {
  const auto sums = sums_of(SafetensorsBuilder()
                                .bf16("model.embed_tokens.weight", {100})
                                .bf16("lm_head.weight", {100})
                                .bf16("model.norm.weight", {3}),
                            {.layers = 0, .tied = true});
  EXPECT_TRUE(sums->sizes.tied_output);
  EXPECT_EQ(sums->sizes.tied_head, 200_B);
  EXPECT_EQ(sums->sizes.output, 6_B);
}

TEST(SumSafetensors, CountsPackedWeights) {
  const auto sums = sums_of(SafetensorsBuilder()
                                .tensor("model.layers.0.q_proj.qweight", "I32", {16}, 64)
                                .tensor("model.layers.0.q_proj.qzeros", "I32", {2}, 8)
                                .tensor("model.layers.0.q_proj.scales", "F16", {4}, 8),
                            {.layers = 1, .packed_bits = 4});
  EXPECT_EQ(sums->parameters, 128U);
  EXPECT_THAT(sums->sizes.layers, ElementsAre(80_B));
}

TEST(SumSafetensors, RefusesATensorInTwoFiles) {
  const auto one = SafetensorsBuilder().bf16("w", {1}).build();
  const auto set = files_in_memory({{"a.safetensors", one}, {"b.safetensors", one}});
  const auto weights = find_weights(*set);
  const auto sums = sum_safetensors(*set, *weights, {});
  ASSERT_FALSE(sums);
  EXPECT_THAT(sums.error().message, HasSubstr("b.safetensors"));
}

}  // namespace
}  // namespace berth::formats
