#include "formats/projector.h"

#include "base/ids.h"
#include "formats/gguf_builder.h"
#include "formats/profile.h"
#include "formats/projector_types.h"

#include <functional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::formats {
namespace {

using model::ModelProfile;
using model::Projector;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr std::uint32_t kF32 = 0;
constexpr std::uint32_t kF16 = 1;
constexpr std::uint32_t kQ8 = 8;
constexpr std::uint32_t kBF16 = 30;

// A projector of `type` with no tensors yet.
GgufBuilder projector(std::string_view type) {
  GgufBuilder builder;
  builder.string("general.architecture", "clip")
      .boolean("clip.has_vision_encoder", true)
      .string("clip.projector_type", type)
      .u32("clip.vision.image_size", 896)
      .u32("clip.vision.patch_size", 14)
      .u32("clip.vision.embedding_length", 1152)
      .u32("clip.vision.feed_forward_length", 4304)
      .u32("clip.vision.attention.head_count", 16)
      .u32("clip.vision.block_count", 27)
      .u32("clip.vision.projection_dim", 96);
  return builder;
}

// LLaVA's, for models of width `width`.
GgufBuilder llava(std::uint64_t width, std::uint32_t type = kF16) {
  return projector("mlp")
      .tensor("v.blk.0.attn_q.weight", {64, 64}, type)
      .tensor("mm.2.weight", {64, width}, type);
}

Result<Projector> read(const GgufBuilder& builder) {
  MemorySource source(builder.build());
  auto file = read_gguf(source, "mmproj.gguf");
  if (!file) return fail(std::move(file).error());
  return read_projector(*file, "/m/mmproj.gguf");
}

TEST(ReadProjector, SaysWhatTheFileSays) {
  const auto found = read(projector("gemma3")
                              .string("general.name", "Gemma 3 4b It")
                              .string("general.basename", "gemma-3")
                              .u32("general.base_model.count", 1)
                              .string("general.base_model.0.name", "Gemma 3 4b Pt")
                              .tensor("v.blk.0.ffn_up.weight", {64, 512}, kBF16)
                              .tensor("v.blk.0.ln1.weight", {64})
                              .tensor("mm.input_projection.weight", {2560, 4}));
  ASSERT_TRUE(found) << found.error().to_string();
  EXPECT_EQ(found->path, "/m/mmproj.gguf");
  EXPECT_EQ(found->name, "Gemma 3 4b It");
  EXPECT_EQ(found->type, "gemma3");
  EXPECT_EQ(found->family, "Gemma 3");
  EXPECT_TRUE(found->vision);
  EXPECT_FALSE(found->audio);
  EXPECT_EQ(found->precision, "BF16");
  EXPECT_THAT(found->base_names, ElementsAre("Gemma 3 4b Pt", "gemma-3"));
  EXPECT_EQ(found->width, 2560U);
  EXPECT_TRUE(found->whole_images);
  EXPECT_EQ(found->encoder.block_count, 27U);
  EXPECT_EQ(found->encoder.heads, 16U);
  EXPECT_EQ(found->encoder.image_size, 896U);
  EXPECT_EQ(found->encoder.patch_size, 14U);
  EXPECT_EQ(found->encoder.merge, 4U);
  EXPECT_EQ(found->encoder.patches, 64U * 64 + 1);
}

TEST(ReadProjector, KnowsTheFamiliesByTheirType) {
  const std::pair<const char*, const char*> families[] = {
      {"mlp", "LLaVA"},
      {"ldp", "MobileVLM"},
      {"ldpv2", "MobileVLM"},
      {"resampler", "MiniCPM-V"},
      {"adapter", "GLM-Edge-V"},
      {"qwen2vl_merger", "Qwen2-VL"},
      {"qwen2.5vl_merger", "Qwen2.5-VL"},
      {"qwen3vl_merger", "Qwen3-VL"},
      {"gemma3", "Gemma 3"},
      {"idefics3", "SmolVLM"},
      {"pixtral", "Pixtral"},
      {"internvl", "InternVL"},
      {"llama4", "Llama 4"},
      {"of the future", ""},
  };
  for (const auto& [type, family] : families) {
    const auto found = read(projector(type).tensor("v.x", {4}));
    ASSERT_TRUE(found) << type;
    EXPECT_EQ(found->type, type);
    EXPECT_EQ(found->family, family) << type;
    EXPECT_EQ(found->width, 96U) << type;  // by projection_dim, where its tensor is missing
  }
}

TEST(ReadProjector, TellsFamiliesThatShareAType) {
  EXPECT_EQ(read(projector("pixtral").tensor("mm.patch_merger.weight", {4}))->family,
            "Mistral Small 3.1");
  EXPECT_EQ(
      read(
          projector("mlp").u32_list("clip.vision.feature_layer", {3, 7, 15, 26}).tensor("v.x", {4}))
          ->family,
      "Granite Vision");
}

// The tensors that llama.cpp's clip_n_mmproj_embd reads.
TEST(ReadProjector, ReadsTheWidthFromTheTensorOfItsType) {
  struct Case {
    const char* type;
    const char* tensor;
    std::vector<std::uint64_t> shape;
  };
  for (const Case& c : std::vector<Case>{
           {"mlp", "mm.2.weight", {32, 4096}},
           {"ldp", "mm.model.mb_block.1.block.2.1.bias", {4096}},
           {"ldpv2", "mm.model.peg.0.bias", {4096}},
           {"resampler", "resampler.proj.weight", {4096, 32}},
           {"adapter", "adapter.linear.dense_4h_to_h.weight", {32, 4096}},
           {"qwen2vl_merger", "mm.2.weight", {32, 4096}},
           {"gemma3", "mm.input_projection.weight", {4096, 32}},
           {"gemma4v", "mm.input_projection.weight", {32, 4096}},
           {"idefics3", "mm.model.fc.weight", {32, 4096}},
           {"pixtral", "mm.2.weight", {32, 4096}},
           {"internvl", "mm.model.mlp.3.weight", {32, 4096}},
           {"glm4v", "mm.down.weight", {32, 4096}},
           {"minimax_m3", "mm.merger.fc2.bias", {4096}},
       }) {
    const auto found = read(projector(c.type).tensor(c.tensor, c.shape));
    ASSERT_TRUE(found) << c.type;
    EXPECT_EQ(found->width, 4096U) << c.type;
  }
  const auto yi = read(projector("mlp")
                           .tensor("mm.2.weight", {32, 8})
                           .tensor("mm.3.weight", {8})
                           .tensor("mm.3.bias", {4096}));
  EXPECT_EQ(yi->width, 4096U);
}

TEST(ReadProjector, CountsThePartsOfDeepstack) {
  auto qwen = projector("qwen3vl_merger").tensor("mm.2.weight", {32, 2560});
  for (const char* block : {"5", "11", "17"}) {
    const auto name = std::string("v.deepstack.") + block;
    qwen.tensor(name + ".fc1.weight", {4}).tensor(name + ".fc2.weight", {4});
  }
  EXPECT_EQ(read(qwen)->parts, 4U);
  EXPECT_EQ(read(qwen)->width, 4U * 2560);
  const auto granite = read(projector("granite4_vision")
                                .u32_list("clip.vision.feature_layer", {1, 2, 3})
                                .tensor("v.x", {4}));
  EXPECT_EQ(granite->parts, 3U);
  EXPECT_EQ(granite->width, 3U * 96);
}

TEST(ReadProjector, BoundsThePatchesOfAnImage) {
  const auto patches = [](const char* type, const std::function<void(GgufBuilder&)>& add) {
    auto builder = projector(type);
    add(builder);
    return read(builder.tensor("v.x", {4}))->encoder.patches;
  };
  const auto nothing = [](GgufBuilder&) {};
  EXPECT_EQ(patches("qwen2vl_merger", nothing), 4096U * 4);
  EXPECT_EQ(patches("pixtral", [](auto& b) { b.u32("clip.vision.spatial_merge_size", 2); }),
            1024U * 4);
  EXPECT_EQ(
      patches("dots_ocr", [](auto& b) { b.u32("clip.vision.image_max_pixels", 14 * 14 * 5000); }),
      5001U);
  // 1024 tokens at once, each of 2 × 2 patches.
  EXPECT_EQ(patches("internvl", [](auto& b) { b.u32("clip.vision.x", 1); }), 4097U);
}

TEST(ReadProjector, ReadsFilesOfBeforeThereWereTypes) {
  const auto old = read(GgufBuilder()
                            .string("general.architecture", "clip")
                            .boolean("clip.has_llava_projector", true)
                            .tensor("v.blk.0.x", {4})
                            .tensor("mm.2.weight", {32, 4096}));
  ASSERT_TRUE(old) << old.error().to_string();
  EXPECT_EQ(old->family, "LLaVA");
  EXPECT_TRUE(old->vision);
  EXPECT_EQ(old->width, 4096U);
}

TEST(ReadProjector, KnowsEncodersOfAudio) {
  const auto found = read(GgufBuilder()
                              .string("general.architecture", "clip")
                              .boolean("clip.has_audio_encoder", true)
                              .string("clip.audio.projector_type", "ultravox")
                              .u32("clip.audio.block_count", 32)
                              .tensor("a.blk.0.x", {4})
                              .tensor("mm.a.mlp.2.weight", {32, 4096}));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->family, "Ultravox");
  EXPECT_TRUE(found->audio);
  EXPECT_FALSE(found->vision);
  EXPECT_EQ(found->width, 4096U);
  EXPECT_EQ(found->encoder.block_count, 32U);
}

TEST(ReadProjector, RefusesImpossibleValuesAndNamesTheKey) {
  const auto message = [](const GgufBuilder& builder) {
    const auto found = read(builder);
    return found ? std::string() : found.error().message;
  };
  EXPECT_THAT(message(small_model()), HasSubstr("no projector, but a file of architecture"));
  auto blocks = GgufBuilder().string("general.architecture", "clip").tensor("v.x", {4});
  EXPECT_THAT(message(blocks.u32("clip.vision.block_count", 4'000'000'000)),
              HasSubstr("clip.vision.block_count"));
  EXPECT_THAT(message(projector("mlp").u64("clip.vision.spatial_merge_size", 0).tensor("v.x", {4})),
              HasSubstr("clip.vision.spatial_merge_size"));
  EXPECT_THAT(message(projector("mlp")
                          .u64("clip.vision.projector.scale_factor", 1ULL << 40)
                          .tensor("v.x", {4})),
              HasSubstr("clip.vision.projector.scale_factor"));
  EXPECT_THAT(message(projector("mlp").tensor("v.x", {4}).tensor("mm.2.weight", {1, 1 << 25})),
              HasSubstr("which no model takes"));
}

ModelProfile text_model(std::uint32_t width, std::vector<std::string> names = {}) {
  ModelProfile model{.architecture = "llama", .embedding_length = width};
  model.base_names = std::move(names);
  model.files = {{.path = "/m/repo/model.gguf", .size = {}}};
  return model;
}

ProjectorCandidate candidate(const std::string& path, const std::string& precision,
                             std::uint32_t width = 64) {
  return {.projector = {.path = path,
                        .type = "mlp",
                        .family = "LLaVA",
                        .vision = true,
                        .precision = precision,
                        .width = width}};
}

std::vector<std::string> paths(const std::vector<Projector>& projectors) {
  std::vector<std::string> out;
  out.reserve(projectors.size());
  for (const auto& one : projectors) out.push_back((one.chosen ? "*" : "") + one.path);
  return out;
}

TEST(ChooseProjector, PrefersHigherPrecision) {
  const auto found =
      choose_projector(text_model(64), {candidate("a.gguf", "Q4_K"), candidate("b.gguf", "Q8_0"),
                                        candidate("c.gguf", "F32"), candidate("d.gguf", "F16"),
                                        candidate("e.gguf", "Q6_K")});
  EXPECT_THAT(paths(found), ElementsAre("*c.gguf", "d.gguf", "b.gguf", "e.gguf", "a.gguf"));
  EXPECT_EQ(found[0].reason, "the highest precision (F32) of the 5 that fit");
  EXPECT_EQ(found[1].reason, "c.gguf has a higher precision (F32 over F16)");
}

TEST(ChooseProjector, GoesByTheNameWhereTheTypesAreAlike) {
  const auto found = choose_projector(
      text_model(64), {candidate("mmproj-q8_0.gguf", "F16"), candidate("mmproj-F16.gguf", "F16"),
                       candidate("mmproj-BF16.gguf", "BF16"), candidate("mmproj-f32.gguf", "F16"),
                       candidate("b-mmproj.gguf", "F16"), candidate("a-mmproj.gguf", "F16")});
  EXPECT_THAT(paths(found), ElementsAre("*mmproj-f32.gguf", "mmproj-BF16.gguf", "mmproj-F16.gguf",
                                        "mmproj-q8_0.gguf", "a-mmproj.gguf", "b-mmproj.gguf"));
  EXPECT_EQ(found[1].reason, "mmproj-f32.gguf is as precise and comes first by its name");
}

TEST(ChooseProjector, TakesNoneThatDoesNotFit) {
  auto gemma = candidate("gemma.gguf", "F16");
  gemma.projector.type = "gemma3";
  gemma.projector.family = "Gemma 3";
  auto unread = candidate("unread.gguf", "");
  unread.broken = "it is truncated";
  const auto found = choose_projector(
      text_model(64), {candidate("wide.gguf", "F32", 128), gemma, unread,
                       candidate("unknown.gguf", "F32", 0), candidate("z.gguf", "Q8_0")});
  const auto reason = [&](const std::string& path) {
    const auto one = std::ranges::find(found, path, &Projector::path);
    return fmt::format("{}: {}", one->usable, one->reason);
  };
  EXPECT_EQ(paths(found).front(), "*z.gguf");
  EXPECT_EQ(reason("z.gguf"), "true: the only one that fits");
  EXPECT_EQ(reason("wide.gguf"), "false: it projects to 128 elements, and the model takes 64");
  EXPECT_EQ(reason("gemma.gguf"), "true: it is of Gemma 3, and the model is a \"llama\"");
  EXPECT_EQ(reason("unread.gguf"), "false: it can not be read: it is truncated");
  EXPECT_EQ(reason("unknown.gguf"), "true: it does not say the width that it projects to");
}

TEST(ChooseProjector, TheNamesOfWhatTheyWereMadeFromMustAgree) {
  const auto chosen = [](std::vector<std::string> model, std::vector<std::string> projector) {
    auto one = candidate("p.gguf", "F16");
    one.projector.base_names = std::move(projector);
    return choose_projector(text_model(64, std::move(model)), {one}).front();
  };
  EXPECT_TRUE(chosen({"Gemma 3 4b It"}, {"gemma-3"}).chosen);
  EXPECT_TRUE(chosen({"gemma-3-4b-it"}, {"Gemma 3 4b It", "other"}).chosen);
  EXPECT_TRUE(chosen({}, {"gemma-3"}).chosen);
  EXPECT_TRUE(chosen({"Qwen2.5 VL 7B"}, {}).chosen);
  const auto other = chosen({"Mistral 7B"}, {"LLaVA v1.6"});
  EXPECT_FALSE(other.chosen);
  EXPECT_TRUE(other.usable);
  EXPECT_EQ(other.reason, "it was made for LLaVA v1.6, and the model is Mistral 7B");
}

TEST(ChooseProjector, CountsTheEmbeddingsOfDeepstack) {
  auto qwen = candidate("p.gguf", "F16", 256);
  qwen.projector.parts = 4;
  auto model = text_model(64);
  EXPECT_FALSE(choose_projector(model, {qwen}).front().usable);
  model.embedding_parts = 4;
  EXPECT_TRUE(choose_projector(model, {qwen}).front().chosen);
  model.embedding_parts = 0;  // only the projector says how many
  EXPECT_TRUE(choose_projector(model, {qwen}).front().chosen);
}

TEST(ChooseProjector, TakesOneOfTheFolderAboveOnlyWhereItIsTheRepositorys) {
  auto above = candidate("/m/mmproj-F32.gguf", "F32");
  above.beside = false;
  const auto beside = candidate("/m/repo/mmproj-Q8_0.gguf", "Q8_0");
  auto model = text_model(64);
  EXPECT_FALSE(choose_projector(model, {above}).front().chosen);
  EXPECT_THAT(choose_projector(model, {above}).front().reason, HasSubstr("folder above"));
  for (const char* folder : {"Q4_K_M", "UD-IQ2_XXS", "bf16", "model-Q8_0"}) {
    model.files = {{.path = fmt::format("/m/{}/model.gguf", folder), .size = {}}};
    EXPECT_TRUE(choose_projector(model, {above}).front().chosen) << folder;
  }
  EXPECT_THAT(paths(choose_projector(model, {above, beside})),
              ElementsAre("*/m/repo/mmproj-Q8_0.gguf", "/m/mmproj-F32.gguf"));
  model = text_model(64, {"Gemma 3"});
  above.projector.base_names = {"Gemma 3"};
  EXPECT_TRUE(choose_projector(model, {above}).front().chosen);
}

class ProjectorFiles : public testing::Test {
 protected:
  ProjectorFiles() : folder_(std::filesystem::temp_directory_path() / ("berth-" + random_id())) {
    std::filesystem::create_directories(folder_ / "Q4_K_M");
  }
  ~ProjectorFiles() override { std::filesystem::remove_all(folder_); }

  std::vector<std::string> names(const char* model) {
    profile_ = profile_path(folder_ / model).value();
    std::vector<std::string> out;
    for (const auto& one : profile_.projectors) {
      const auto name = std::filesystem::path(one.path).lexically_relative(folder_).string();
      out.push_back((one.chosen ? "*" : "") + name);
    }
    return out;
  }

  std::filesystem::path folder_;
  ModelProfile profile_;
};

TEST_F(ProjectorFiles, AreFoundByTheirHeaderAndByTheirName) {
  small_model().write(folder_ / "model.gguf");
  small_model().write(folder_ / "another.gguf");
  llava(128, kQ8).write(folder_ / "eyes.gguf");
  llava(128).write(folder_ / "model-mmproj-f16.GGUF");
  std::ofstream(folder_ / "mmproj-broken.gguf") << "GGUF";
  std::ofstream(folder_ / "notes.txt") << "mmproj";
  EXPECT_THAT(names("model.gguf"),
              ElementsAre("*model-mmproj-f16.GGUF", "eyes.gguf", "mmproj-broken.gguf"));
  EXPECT_THAT(profile_.projectors[2].reason, HasSubstr("it can not be read"));
  EXPECT_THAT(profile_.inputs, ElementsAre(model::Modality::text, model::Modality::image));
  EXPECT_THAT(profile_.outputs, ElementsAre(model::Modality::text));
}

TEST_F(ProjectorFiles, MayLieInTheRootOfTheRepository) {
  small_model().write(folder_ / "Q4_K_M/model.gguf");
  llava(128).write(folder_ / "mmproj-F16.gguf");
  llava(128, kF32).write(folder_ / "mmproj-F32.gguf");
  llava(256, kF32).write(folder_ / "mmproj-of-another.gguf");
  EXPECT_THAT(names("Q4_K_M"), ElementsAre("*mmproj-F32.gguf", "mmproj-F16.gguf"));
  llava(128, kQ8).write(folder_ / "Q4_K_M/mmproj-Q8_0.gguf");
  EXPECT_THAT(names("Q4_K_M"),
              ElementsAre("*Q4_K_M/mmproj-Q8_0.gguf", "mmproj-F32.gguf", "mmproj-F16.gguf"));
}

TEST_F(ProjectorFiles, AModelWithoutOneTakesText) {
  small_model().write(folder_ / "model.gguf");
  llava(999).write(folder_ / "mmproj.gguf");
  EXPECT_THAT(names("model.gguf"), ElementsAre("mmproj.gguf"));
  EXPECT_THAT(profile_.inputs, ElementsAre(model::Modality::text));
}

TEST_F(ProjectorFiles, AreOfNoUseToAnEmbeddingModel) {
  small_model().u32("llama.pooling_type", 1).write(folder_ / "model.gguf");
  llava(128).write(folder_ / "mmproj.gguf");
  EXPECT_THAT(names("model.gguf"), IsEmpty());
}

TEST_F(ProjectorFiles, HaveAProfileOfTheirOwn) {
  llava(128).string("general.name", "Eyes").write(folder_ / "mmproj.gguf");
  const auto profile = profile_path(folder_ / "mmproj.gguf");
  ASSERT_TRUE(profile) << profile.error().to_string();
  EXPECT_EQ(profile->architecture, "clip");
  EXPECT_EQ(profile->name, "Eyes");
  ASSERT_THAT(profile->projectors, SizeIs(1));
  EXPECT_EQ(profile->projectors[0].family, "LLaVA");
  EXPECT_EQ(profile->projectors[0].width, 128U);
  EXPECT_FALSE(profile->projectors[0].chosen);
}

TEST_F(ProjectorFiles, AnAdapterSaysWhatItIs) {
  GgufBuilder()
      .string("general.architecture", "llama")
      .string("general.type", "adapter")
      .string("adapter.type", "lora")
      .f32("adapter.lora.alpha", 32)
      .string("general.basename", "Small One")
      .tensor("blk.0.attn_q.weight.lora_a", {64, 8})
      .tensor("blk.0.attn_q.weight.lora_b", {8, 64})
      .write(folder_ / "lora.gguf");
  const auto profile = profile_path(folder_ / "lora.gguf");
  ASSERT_TRUE(profile && profile->adapter);
  EXPECT_EQ(profile->adapter->type, "lora");
  EXPECT_EQ(profile->adapter->architecture, "llama");
  EXPECT_EQ(profile->adapter->alpha, 32);
  EXPECT_EQ(profile->adapter->rank, 8U);
  EXPECT_THAT(profile->adapter->base_names, ElementsAre("Small One"));
}

TEST(GgufProfile, CountsTheEmbeddingsOfATokenOfAnImage) {
  const auto parts = [](GgufBuilder builder) {
    MemorySource source(builder.build());
    return profile_of({{.path = "/m.gguf", .file = read_gguf(source, "m").value()}})
        ->embedding_parts;
  };
  EXPECT_EQ(parts(small_model()), 1U);
  EXPECT_EQ(parts(small_model("qwen3vl").u32("qwen3vl.n_deepstack_layers", 3)), 4U);
  EXPECT_EQ(parts(small_model("granite").u32_list("granite.deepstack_mapping", {0, 1})), 0U);
}

}  // namespace
}  // namespace berth::formats
