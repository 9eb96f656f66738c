#include "formats/profile.h"

#include "base/ids.h"
#include "formats/gguf_builder.h"
#include "formats/safetensors_builder.h"

#include <algorithm>
#include <sys/stat.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace berth::formats {
namespace {

namespace fs = std::filesystem;

using model::Category;
using model::ModelProfile;
using testing::ElementsAre;
using testing::HasSubstr;

Result<ModelProfile> profile(const GgufBuilder& builder) {
  MemorySource source(builder.build());
  auto file = read_gguf(source, "m.gguf");
  if (!file) return fail(std::move(file).error());
  return profile_of({{.path = "/m.gguf", .file = *std::move(file)}});
}

// A model of `layers` blocks and nothing else; the test adds its keys.
GgufBuilder bare(const std::string& architecture, std::uint32_t layers) {
  GgufBuilder builder;
  builder.string("general.architecture", architecture)
      .u32(architecture + ".block_count", layers)
      .u32(architecture + ".embedding_length", 128)
      .u32(architecture + ".attention.head_count", 8)
      .tensor("token_embd.weight", {128, 32});
  return builder;
}

std::string windows(const Result<ModelProfile>& profile) {
  std::string text;
  for (const bool windowed : profile->attention.windowed) text += windowed ? 'w' : 'f';
  return text;
}

TEST(GgufProfile, SaysWhatTheModelIs) {
  const auto model = profile(small_model());
  ASSERT_TRUE(model) << model.error().to_string();
  EXPECT_EQ(model->format, model::FileFormat::gguf);
  EXPECT_EQ(model->name, "Small One");
  EXPECT_EQ(model->architecture, "llama");
  EXPECT_EQ(model->category, Category::llm);
  EXPECT_EQ(model->quantization, "Q4_K_M");
  EXPECT_EQ(model->licence, "mit");
  EXPECT_EQ(model->context_length, 4096U);
  EXPECT_EQ(model->layer_count, 2U);
  EXPECT_EQ(model->embedding_length, 128U);
  EXPECT_EQ(model->feed_forward_length, 256U);
  EXPECT_EQ(model->vocabulary, 32U);
  EXPECT_EQ(model->experts, 0U);
  EXPECT_TRUE(model->has_chat_template);
  EXPECT_THAT(model->inputs, ElementsAre(model::Modality::text));
  EXPECT_THAT(model->outputs, ElementsAre(model::Modality::text));
  EXPECT_EQ(model->attention.heads, 8U);
  EXPECT_THAT(model->attention.kv_heads, ElementsAre(2, 2));
  EXPECT_EQ(model->attention.key_length, 16U);
  EXPECT_EQ(model->attention.value_length, 16U);
  EXPECT_EQ(model->attention.sliding_window, 0U);
  EXPECT_EQ(model->parameters, 128U * 32 + 2 * (128 + 256 * 64 + 256 * 128) + 128);
}

TEST(GgufProfile, SortsWeightsByPlace) {
  const auto model = profile(small_model());
  ASSERT_TRUE(model);
  const Bytes layer{128 * 4 + 64 * 144 + 128 * 210};
  EXPECT_EQ(model->weights.input, Bytes{128 * 32 * 2});
  EXPECT_THAT(model->weights.layers, ElementsAre(layer, layer));
  EXPECT_EQ(model->weights.output, Bytes{128 * 4});
  EXPECT_TRUE(model->weights.tied_output);
  EXPECT_EQ(model->weights.tied_head, model->weights.input);
}

TEST(GgufProfile, AHeadOfItsOwnIsNotTied) {
  const auto model = profile(small_model().tensor("output.weight", {128, 32}));
  ASSERT_TRUE(model);
  EXPECT_FALSE(model->weights.tied_output);
  EXPECT_EQ(model->weights.tied_head, 0_B);
  EXPECT_EQ(model->weights.output, Bytes{128 * 4 + 128 * 32 * 4});
}

TEST(GgufProfile, Gemma3HasOneFullLayerInSix) {
  const auto model = profile(bare("gemma3", 18).u32("gemma3.attention.sliding_window", 512));
  ASSERT_TRUE(model) << model.error().to_string();
  EXPECT_EQ(model->attention.sliding_window, 512U);
  EXPECT_EQ(windows(model), "wwwwwfwwwwwfwwwwwf");
}

TEST(GgufProfile, KnowsTheWindowsOfArchitectures) {
  struct Case {
    std::string architecture;
    std::uint32_t layers, window, expected_window;
    std::string pattern;
  };
  for (const Case& c : std::vector<Case>{
           {"gemma2", 4, 0, 4096, "wfwf"},
           {"gpt-oss", 4, 128, 128, "wfwf"},
           {"cohere2", 5, 4096, 4096, "wwwfw"},
           {"modern-bert", 4, 128, 128, "fwwf"},
           {"llama4", 4, 0, 8192, "wwwf"},
           {"exaone4", 4, 4096, 0, ""},
           {"llama", 4, 4096, 0, ""},  // Mistral 7B has the key, no engine obeys it
           {"phi3", 4, 2048, 0, ""},
           {"gemma3", 4, 0, 0, ""},
       }) {
    GgufBuilder builder = bare(c.architecture, c.layers);
    if (c.window != 0) builder.u32(c.architecture + ".attention.sliding_window", c.window);
    const auto model = profile(builder);
    ASSERT_TRUE(model) << model.error().to_string();
    EXPECT_EQ(model->attention.sliding_window, c.expected_window) << c.architecture;
    EXPECT_EQ(windows(model), c.pattern) << c.architecture;
  }
}

TEST(GgufProfile, TheFilesOwnPatternWins) {
  const auto key = [](const char* name) { return std::string("gemma3.attention.") + name; };
  EXPECT_EQ(
      windows(profile(
          bare("gemma3", 4).u32(key("sliding_window"), 512).u32(key("sliding_window_pattern"), 2))),
      "wfwf");
  EXPECT_EQ(windows(profile(bare("gemma3", 3)
                                .u32(key("sliding_window"), 512)
                                .bool_list(key("sliding_window_pattern"), {false, true, true}))),
            "fww");
}

TEST(GgufProfile, WindowedLayersCanHaveHeadsOfTheirOwnSize) {
  const auto model =
      profile(bare("gemma4", 2)
                  .u32("gemma4.attention.sliding_window", 512)
                  .bool_list("gemma4.attention.sliding_window_pattern", {true, false})
                  .u32("gemma4.attention.key_length", 512)
                  .u32("gemma4.attention.value_length", 512)
                  .u32("gemma4.attention.key_length_swa", 256)
                  .u32("gemma4.attention.value_length_swa", 256));
  ASSERT_TRUE(model) << model.error().to_string();
  EXPECT_EQ(model->attention.key_length, 512U);
  EXPECT_EQ(model->attention.windowed_key_length, 256U);
}

TEST(GgufProfile, LayersThatShareACacheKeepNone) {
  const auto model = profile(bare("gemma4", 4).u32("gemma4.attention.shared_kv_layers", 3));
  ASSERT_TRUE(model);
  EXPECT_THAT(model->attention.kv_heads, ElementsAre(8, 0, 0, 0));
}

TEST(GgufProfile, LayersThatOnlyPredictAheadAreNotLoaded) {
  auto builder = bare("glm4moe", 2);
  builder.u32("glm4moe.nextn_predict_layers", 1)
      .u32("glm4moe.feed_forward_length", 128)
      .u32("glm4moe.expert_feed_forward_length", 256)
      .tensor("blk.0.attn_q.weight", {128, 128})
      .tensor("blk.1.attn_q.weight", {128, 128});
  const auto model = profile(builder);
  ASSERT_TRUE(model) << model.error().to_string();
  EXPECT_GT(model->weights.layers[0], 0_B);
  EXPECT_EQ(model->weights.layers[1], 0_B);
  EXPECT_EQ(model->attention.kv_heads[1], 0U);
  EXPECT_EQ(model->feed_forward_length, 256U);
}

TEST(GgufProfile, HybridModelsKeepStateInsteadOfKv) {
  GgufBuilder builder;
  builder.string("general.architecture", "jamba")
      .u32("jamba.block_count", 3)
      .u32("jamba.embedding_length", 128)
      .u32("jamba.attention.head_count", 8)
      .u32_list("jamba.attention.head_count_kv", {0, 2, 0})
      .u32_list("jamba.feed_forward_length", {100, 300, 200})
      .u32("jamba.ssm.conv_kernel", 4)
      .u32("jamba.ssm.inner_size", 256)
      .u32("jamba.ssm.state_size", 16)
      .tensor("token_embd.weight", {128, 32});
  const auto model = profile(builder);
  ASSERT_TRUE(model) << model.error().to_string();
  EXPECT_THAT(model->attention.kv_heads, ElementsAre(0, 2, 0));
  EXPECT_EQ(model->recurrent.layers, (std::vector<bool>{true, false, true}));
  EXPECT_EQ(model->recurrent.state_elements, 3U * 256 + 16 * 256);
  EXPECT_EQ(model->feed_forward_length, 300U);
}

TEST(GgufProfile, Qwen3NextAttendsInEveryFourthLayer) {
  const auto model = profile(
      bare("qwen3next", 5).u32("qwen3next.ssm.inner_size", 4).u32("qwen3next.ssm.state_size", 2));
  ASSERT_TRUE(model) << model.error().to_string();
  EXPECT_THAT(model->attention.kv_heads, ElementsAre(0, 0, 0, 8, 0));
}

TEST(GgufProfile, LatentAttentionCachesKeysAlone) {
  const auto model = profile(bare("deepseek2", 1)
                                 .u32("deepseek2.attention.head_count_kv", 1)
                                 .u32("deepseek2.attention.key_length", 576)
                                 .u32("deepseek2.attention.value_length", 512)
                                 .u32("deepseek2.attention.key_length_mla", 192)
                                 .u32("deepseek2.attention.value_length_mla", 128)
                                 .u32("deepseek2.expert_count", 64));
  ASSERT_TRUE(model);
  EXPECT_EQ(model->attention.key_length, 576U);
  EXPECT_EQ(model->attention.value_length, 0U);
  EXPECT_EQ(model->experts, 64U);
}

TEST(GgufProfile, TellsCategories) {
  EXPECT_EQ(profile(bare("bert", 1))->category, Category::embedding);
  EXPECT_EQ(profile(bare("bert", 1).u32("bert.pooling_type", 2))->pooling, "cls");
  EXPECT_EQ(profile(bare("bert", 1).tensor("cls.weight", {4}))->category, Category::reranker);
  EXPECT_EQ(profile(bare("bert", 1).u32("bert.pooling_type", 4))->category, Category::reranker);
  EXPECT_EQ(profile(bare("qwen3", 1).u32("qwen3.pooling_type", 3))->category, Category::embedding);
  EXPECT_EQ(profile(bare("qwen3", 1).u32("qwen3.pooling_type", 4))->category, Category::reranker);
  EXPECT_EQ(profile(bare("qwen3", 1).u32("qwen3.pooling_type", 0))->category, Category::llm);
  for (const char* family : {"flux", "ovis_image", "chroma_radiance", "svd", "pixart"}) {
    EXPECT_EQ(
        profile(GgufBuilder().string("general.architecture", family).tensor("x", {4}))->category,
        Category::image)
        << family;
  }
  EXPECT_EQ(profile(GgufBuilder().tensor("model.diffusion_model.x", {4}))->category,
            Category::image);
  EXPECT_EQ(profile(GgufBuilder().string("general.architecture", "clip").tensor("v.blk.0.x", {4}))
                ->architecture,
            "clip");
  EXPECT_EQ(profile(small_model().string("general.type", "adapter"))->architecture, "adapter");
}

TEST(GgufProfile, EncodersKeepNoCacheAndHaveNoHead) {
  const auto model = profile(bare("bert", 2));
  ASSERT_TRUE(model);
  EXPECT_THAT(model->attention.kv_heads, ElementsAre(0, 0));
  EXPECT_FALSE(model->weights.tied_output);
}

TEST(GgufProfile, TheDominantTypeStandsInForAMissingFileType) {
  EXPECT_EQ(profile(bare("llama", 1).tensor("blk.0.x", {256, 256}, 14))->quantization, "Q6_K");
  EXPECT_EQ(profile(bare("llama", 1).u32("general.file_type", 1024 + 7))->quantization, "Q8_0");
}

TEST(GgufProfile, RefusesImpossibleValuesAndNamesTheKey) {
  const auto message = [](const GgufBuilder& builder) {
    const auto model = profile(builder);
    return model ? std::string() : model.error().message;
  };
  EXPECT_THAT(message(GgufBuilder().tensor("t", {4})), HasSubstr("general.architecture"));
  EXPECT_THAT(message(GgufBuilder().string("general.architecture", "a\nb").tensor("t", {4})),
              HasSubstr("general.architecture"));
  EXPECT_THAT(message(GgufBuilder().string("general.architecture", "llama")),
              HasSubstr("holds no weights"));
  EXPECT_THAT(message(GgufBuilder().string("general.architecture", "x").tensor("t", {4})),
              HasSubstr("x.block_count"));
  EXPECT_THAT(message(bare("llama", 4'000'000'000)), HasSubstr("llama.block_count"));
  EXPECT_THAT(message(bare("llama", 2).tensor("blk.2.x", {4})),
              HasSubstr("tensor blk.2.x: it is of layer 2, but the model has 2"));
  EXPECT_THAT(message(bare("llama", 2).u64("llama.context_length", 1ULL << 32)),
              HasSubstr("llama.context_length"));
  EXPECT_THAT(message(bare("llama", 3).u32_list("llama.attention.head_count_kv", {1, 2})),
              HasSubstr("head_count_kv: 2 entries for 3 layers"));
  EXPECT_THAT(message(bare("llama", 1).i32("llama.attention.head_count_kv", -1)),
              HasSubstr("head_count_kv"));
}

class ProfilePath : public testing::Test {
 protected:
  ProfilePath() : folder_(std::filesystem::temp_directory_path() / ("berth-" + random_id())) {
    std::filesystem::create_directories(folder_);
  }
  ~ProfilePath() override { std::filesystem::remove_all(folder_); }

  // Writes part `number` of `count`, with one tensor of its own.
  void write_part(const std::string& stem, int number, int count, int claimed_no) {
    GgufBuilder builder = number == 1 ? small_model() : GgufBuilder();
    builder.u16("split.no", static_cast<std::uint16_t>(claimed_no))
        .u16("split.count", static_cast<std::uint16_t>(count))
        .i32("split.tensors.count", 8 + count - 1);
    if (number != 1) builder.tensor(fmt::format("blk.1.part{}.weight", number), {64});
    builder.write(folder_ / fmt::format("{}-{:05}-of-{:05}.gguf", stem, number, count));
  }
  std::string failure(const std::filesystem::path& path) {
    const auto model = profile_path(path);
    return model ? "" : model.error().message;
  }

  std::filesystem::path folder_;
};

TEST_F(ProfilePath, ReadsAFileWhateverItsName) {
  small_model().write(folder_ / "model.bin");
  const auto model = profile_path(folder_ / "model.bin");
  ASSERT_TRUE(model) << model.error().to_string();
  ASSERT_EQ(model->files.size(), 1U);
  EXPECT_EQ(model->files[0].path, (folder_ / "model.bin").native());
  EXPECT_EQ(model->total_size.count, std::filesystem::file_size(folder_ / "model.bin"));
}

TEST_F(ProfilePath, AModelWithoutANameIsCalledAfterItsFile) {
  bare("llama", 1).write(folder_ / "tiny.gguf");
  EXPECT_EQ(profile_path(folder_ / "tiny.gguf")->name, "tiny");
}

TEST_F(ProfilePath, ReadsAllPartsFromAnyOfThem) {
  for (int i = 1; i <= 3; ++i) write_part("m", i, 3, i - 1);
  for (const char* start : {"m-00001-of-00003.gguf", "m-00003-of-00003.gguf", "."}) {
    const auto model = profile_path(folder_ / start);
    ASSERT_TRUE(model) << model.error().to_string();
    ASSERT_EQ(model->files.size(), 3U);
    EXPECT_TRUE(model->files[0].path.ends_with("m-00001-of-00003.gguf"));
    EXPECT_EQ(model->weights.layers[1] - model->weights.layers[0], Bytes{2 * 64 * 4});
    EXPECT_EQ(model->total_size,
              model->files[0].size + model->files[1].size + model->files[2].size);
  }
}

TEST_F(ProfilePath, NamesTheMissingPart) {
  write_part("m", 1, 3, 0);
  write_part("m", 3, 3, 2);
  const auto model = profile_path(folder_);
  ASSERT_FALSE(model);
  EXPECT_EQ(model.error().code, ErrorCode::not_found);
  EXPECT_THAT(model.error().message, HasSubstr("part 2 of 3 is missing"));
  EXPECT_THAT(model.error().message, HasSubstr("m-00002-of-00003.gguf"));
}

TEST_F(ProfilePath, RefusesPartsThatDoNotBelongTogether) {
  write_part("m", 1, 2, 0);
  write_part("m", 2, 2, 0);
  EXPECT_THAT(failure(folder_), HasSubstr("split.no"));
  small_model().u16("split.count", 2).write(folder_ / "alone.gguf");
  EXPECT_THAT(failure(folder_ / "alone.gguf"), HasSubstr("split.count"));
}

TEST_F(ProfilePath, AFolderMayHoldAProjectorBesideItsModel) {
  small_model().write(folder_ / "model-Q4_K_M.gguf");
  GgufBuilder()
      .string("general.architecture", "clip")
      .tensor("v", {4})
      .write(folder_ / "eyes.gguf");
  std::ofstream(folder_ / "mmproj-F16.gguf") << "GGUF";
  std::ofstream(folder_ / "README.md") << "text";
  const auto model = profile_path(folder_);
  ASSERT_TRUE(model) << model.error().to_string();
  EXPECT_THAT(model->files[0].path, HasSubstr("model-Q4_K_M.gguf"));
}

TEST_F(ProfilePath, ListsTheModelsOfAFolderWithSeveral) {
  small_model().write(folder_ / "a.gguf");
  small_model().write(folder_ / "b.gguf");
  EXPECT_EQ(profile_path(folder_).error().code, ErrorCode::invalid_parameter);
  EXPECT_THAT(failure(folder_), HasSubstr("holds 2 models, name one of them: a.gguf, b.gguf"));
}

TEST_F(ProfilePath, ReadsAFolderInHuggingFacesLayout) {
  const fs::path snapshot = folder_ / "models--org--name" / "snapshots" / "abc";
  fs::create_directories(snapshot);
  std::ofstream(snapshot / "config.json")
      << R"({"architectures": ["LlamaForCausalLM"], "model_type": "llama", "num_hidden_layers": 1,
             "hidden_size": 8, "num_attention_heads": 2})";
  std::ofstream(snapshot / "model.safetensors", std::ios::binary)
      << SafetensorsBuilder().bf16("model.layers.0.mlp.up_proj.weight", {8}).build();
  const auto model = profile_path(snapshot);
  ASSERT_TRUE(model) << model.error().to_string();
  EXPECT_EQ(model->name, "org/name");
  EXPECT_EQ(model->architecture, "LlamaForCausalLM");
  EXPECT_EQ(model->files[0].path, (snapshot / "model.safetensors").native());
  EXPECT_THAT(failure(snapshot / "model.safetensors"), HasSubstr("name the folder"));
}

TEST_F(ProfilePath, KnowsSpeechModelsBeforeTheirConfigJson) {
  std::ofstream(folder_ / "config.json")
      << R"({"architectures": ["BarkModel"], "model_type": "bark"})";
  std::ofstream(folder_ / "model.safetensors", std::ios::binary)
      << SafetensorsBuilder().bf16("semantic.lm_head.weight", {8}).build();
  const auto model = profile_path(folder_);
  ASSERT_TRUE(model) << model.error().to_string();
  EXPECT_EQ(model->architecture, "bark");
  EXPECT_EQ(model->category, Category::text_to_speech);
}

TEST_F(ProfilePath, KnowsAnImageModelByOneFile) {
  std::ofstream(folder_ / "flux.safetensors", std::ios::binary)
      << SafetensorsBuilder().bf16("double_blocks.0.img_attn.qkv.weight", {64}).build();
  const auto model = profile_path(folder_ / "flux.safetensors");
  ASSERT_TRUE(model) << model.error().to_string();
  EXPECT_EQ(model->category, Category::image);
}

TEST_F(ProfilePath, SaysWhatIsThereInstead) {
  EXPECT_THAT(failure(folder_), HasSubstr("no GGUF file, no config.json"));
  EXPECT_EQ(profile_path(folder_).error().code, ErrorCode::unsupported);
  std::ofstream(folder_ / "notes.txt") << "{}";
  EXPECT_THAT(failure(folder_ / "notes.txt"), HasSubstr("no GGUF file: it begins with \"{}\""));
  EXPECT_EQ(profile_path(folder_ / "absent.gguf").error().code, ErrorCode::not_found);
  EXPECT_THAT(failure(folder_ / "absent.gguf"), HasSubstr("absent.gguf"));
  EXPECT_EQ(profile_path(folder_ / "config.json" / "x").error().code, ErrorCode::not_found);
}

TEST_F(ProfilePath, NeverWaitsOnAFifoOrReadsADevice) {
  ASSERT_EQ(::mkfifo((folder_ / "fifo.gguf").c_str(), 0600), 0);
  EXPECT_THAT(failure(folder_ / "fifo.gguf"), HasSubstr("is a FIFO"));
  EXPECT_THAT(failure(folder_), HasSubstr("no GGUF file, no config.json"));
  EXPECT_THAT(failure("/dev/zero"), HasSubstr("is a device"));
}

TEST_F(ProfilePath, SaysThatAFileMayNotBeRead) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may read everything";
  small_model().write(folder_ / "secret.gguf");
  std::filesystem::permissions(folder_ / "secret.gguf", std::filesystem::perms::none);
  EXPECT_EQ(profile_path(folder_ / "secret.gguf").error().code, ErrorCode::permission_denied);
}

}  // namespace
}  // namespace berth::formats
