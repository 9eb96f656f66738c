#include "formats/diffusion_layout.h"

#include "formats/gguf_builder.h"
#include "formats/safetensors_builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::formats {
namespace {

using model::Category;
using model::FileFormat;
using model::Modality;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using Files = std::map<std::string, std::string>;

std::string tensors(const std::vector<std::pair<std::string, std::vector<std::uint64_t>>>& list) {
  SafetensorsBuilder builder;
  for (const auto& [name, shape] : list) builder.bf16(name, shape);
  return builder.build();
}

std::string flux() { return tensors({{"double_blocks.0.img_attn.qkv.weight", {4, 4}}}); }
std::string clip(std::uint64_t width) {
  return tensors({{"text_model.embeddings.token_embedding.weight", {2, width}}});
}
std::string t5(std::uint64_t rows = 4) {
  return tensors({{"encoder.block.0.layer.0.SelfAttention.q.weight", {rows, 4}}});
}
std::string vae() { return tensors({{"decoder.conv_in.weight", {2, 2, 3, 3}}}); }
std::string small(std::uint64_t rows = 1) { return tensors({{"w", {rows}}}); }

std::string text_of(const GgufBuilder& builder) {
  const auto bytes = builder.build();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

model::ModelProfile known(Files files) {
  auto found = profile_diffusion(*files_in_memory(std::move(files)));
  if (!found || !*found) {
    ADD_FAILURE() << (found ? "it is no diffusion model" : found.error().to_string());
    return {};
  }
  return **std::move(found);
}

void expect_unknown(Files files) {
  const auto found = profile_diffusion(*files_in_memory(std::move(files)));
  ASSERT_TRUE(found) << found.error().to_string();
  EXPECT_FALSE(*found);
}

Error refused(Files files) {
  auto found = profile_diffusion(*files_in_memory(std::move(files)));
  if (!found) return found.error();
  ADD_FAILURE() << "it was taken";
  return {};
}

std::vector<std::string> parts_of(const model::ModelProfile& profile) {
  std::vector<std::string> names;
  names.reserve(profile.parts.size());
  for (const auto& part : profile.parts) names.push_back(part.name);
  return names;
}

const model::ModelPart& part(const model::ModelProfile& profile, std::string_view name) {
  static const model::ModelPart kNone;
  const auto found = std::ranges::find(profile.parts, name, &model::ModelPart::name);
  return found == profile.parts.end() ? kNone : *found;
}

// black-forest-labs/FLUX.1-dev, which has the files of its own format in the same folder.
Files flux_pipeline() {
  return {{"model_index.json",
           R"({"_class_name": "FluxPipeline", "_diffusers_version": "0.30.0.dev0",
           "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
           "text_encoder": ["transformers", "CLIPTextModel"],
           "text_encoder_2": ["transformers", "T5EncoderModel"],
           "tokenizer": ["transformers", "CLIPTokenizer"],
           "tokenizer_2": ["transformers", "T5TokenizerFast"],
           "transformer": ["diffusers", "FluxTransformer2DModel"],
           "vae": ["diffusers", "AutoencoderKL"]})"},
          {"ae.safetensors", vae()},
          {"flux1-dev.safetensors", flux()},
          {"scheduler/scheduler_config.json", "{}"},
          {"text_encoder/config.json", "{}"},
          {"text_encoder/model.safetensors", small(2)},
          {"text_encoder_2/model-00001-of-00002.safetensors", small(3)},
          {"text_encoder_2/model-00002-of-00002.safetensors", small(4)},
          {"text_encoder_2/model.safetensors.index.json",
           R"({"weight_map": {"a": "model-00001-of-00002.safetensors",
                          "b": "model-00002-of-00002.safetensors"}})"},
          {"tokenizer/vocab.json", "{}"},
          {"transformer/diffusion_pytorch_model-00001-of-00001.safetensors", small(5)},
          {"transformer/diffusion_pytorch_model.safetensors.index.json",
           R"({"weight_map": {"a": "diffusion_pytorch_model-00001-of-00001.safetensors"}})"},
          {"vae/diffusion_pytorch_model.safetensors", small(6)}};
}

// runwayml/stable-diffusion-v1-5: every part in four copies, and a checker.
Files stable_diffusion_pipeline() {
  Files files = {{"model_index.json",
                  R"({"_class_name": "StableDiffusionPipeline",
                      "feature_extractor": ["transformers", "CLIPImageProcessor"],
                      "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
                      "scheduler": ["diffusers", "PNDMScheduler"],
                      "requires_safety_checker": true, "image_encoder": [null, null],
                      "text_encoder": ["transformers", "CLIPTextModel"],
                      "tokenizer": ["transformers", "CLIPTokenizer"],
                      "unet": ["diffusers", "UNet2DConditionModel"],
                      "vae": ["diffusers", "AutoencoderKL"]})"},
                 {"v1-5-pruned.ckpt", "\x80\x02"}};
  for (const char* stem : {"text_encoder/model", "unet/diffusion_pytorch_model",
                           "unet/diffusion_pytorch_model.non_ema", "vae/diffusion_pytorch_model",
                           "safety_checker/model"}) {
    files[std::string(stem) + ".safetensors"] = small();
    files[std::string(stem) + ".fp16.safetensors"] = small();
    files[std::string(stem) + ".bin"] = "pickled";
    files[std::string(stem) + ".fp16.bin"] = "pickled";
  }
  return files;
}

TEST(DiffusionPipeline, HasItsPartsWithTheirWeights) {
  const auto found = known(flux_pipeline());
  EXPECT_EQ(found.architecture, "FluxPipeline");
  EXPECT_EQ(found.category, Category::image);
  EXPECT_EQ(found.format, FileFormat::safetensors);
  EXPECT_THAT(found.inputs, ElementsAre(Modality::text));
  EXPECT_THAT(found.outputs, ElementsAre(Modality::image));
  EXPECT_THAT(parts_of(found), ElementsAre("transformer", "text_encoder", "text_encoder_2", "vae"));
  EXPECT_EQ(part(found, "text_encoder_2").files.size(), 2U);
  EXPECT_EQ(part(found, "text_encoder_2").size, Bytes{small(3).size() + small(4).size()});
  EXPECT_EQ(found.files.size(), 5U);
  EXPECT_EQ(found.files[0].path,
            "/memory/transformer/diffusion_pytorch_model-00001-of-00001.safetensors");
  EXPECT_EQ(found.parameters, 2U + 3 + 4 + 5 + 6);
  EXPECT_EQ(found.weight_type, "BF16");
  EXPECT_THAT(missing_diffusion_parts(found), IsEmpty());
}

TEST(DiffusionPipeline, CountsEachPartOnce) {
  const auto found = known(stable_diffusion_pipeline());
  EXPECT_EQ(found.architecture, "StableDiffusionPipeline");
  EXPECT_THAT(parts_of(found), ElementsAre("unet", "text_encoder", "vae"));
  EXPECT_THAT(part(found, "unet").files[0].path,
              "/memory/unet/diffusion_pytorch_model.safetensors");
  EXPECT_EQ(found.total_size, Bytes{3 * small().size()});
}

TEST(DiffusionPipeline, TakesPicklesWhereThereIsNothingElse) {
  auto files = stable_diffusion_pipeline();
  std::erase_if(files, [](const auto& file) { return file.first.ends_with(".safetensors"); });
  const auto found = known(std::move(files));
  EXPECT_EQ(found.format, FileFormat::pytorch);
  EXPECT_EQ(part(found, "vae").files[0].path, "/memory/vae/diffusion_pytorch_model.bin");
  EXPECT_EQ(found.parameters, 0U);
}

TEST(DiffusionPipeline, NamesTheWeightsItLacks) {
  for (const std::string path :
       {"text_encoder/model.safetensors", "vae/diffusion_pytorch_model.safetensors",
        "text_encoder_2/model-00002-of-00002.safetensors"}) {
    auto files = flux_pipeline();
    files.erase(path);
    const auto error = refused(std::move(files));
    const std::size_t name = path.find('/') + 1;
    EXPECT_EQ(error.code, ErrorCode::not_found);
    EXPECT_THAT(error.message,
                AllOf(HasSubstr(path.substr(0, name)), HasSubstr(path.substr(name))));
  }
}

TEST(DiffusionPipeline, NamesTheFileThatIsCutOff) {
  auto files = flux_pipeline();
  files["vae/diffusion_pytorch_model.safetensors"].pop_back();
  const auto error = refused(std::move(files));
  EXPECT_EQ(error.code, ErrorCode::corrupt);
  EXPECT_THAT(error.message, HasSubstr("vae/diffusion_pytorch_model.safetensors"));
}

TEST(DiffusionPipeline, KnowsWhatGoesInAndOutByItsClass) {
  const auto of_class = [](const std::string& name) {
    auto files = flux_pipeline();
    files["model_index.json"] =
        R"({"_class_name": ")" + name + R"(", "transformer": ["diffusers", "X"]})";
    return known(std::move(files));
  };
  EXPECT_THAT(of_class("QwenImageEditPlusPipeline").inputs,
              ElementsAre(Modality::text, Modality::image));
  EXPECT_THAT(of_class("QwenImagePipeline").inputs, ElementsAre(Modality::text));
  EXPECT_THAT(of_class("WanPipeline").outputs, ElementsAre(Modality::video));
  EXPECT_THAT(of_class("WanImageToVideoPipeline").inputs,
              ElementsAre(Modality::text, Modality::image));
}

TEST(DiffusionPipeline, MarksOneThatBringsItsOwnCode) {
  auto files = flux_pipeline();
  files["model_index.json"] =
      R"({"_class_name": ["pipeline_mine", "MinePipeline"], "transformer": ["x", "Y"]})";
  const auto found = known(std::move(files));
  EXPECT_EQ(found.architecture, "MinePipeline");
  EXPECT_TRUE(found.needs_own_code);
}

TEST(DiffusionPipeline, LeavesSoundToOthers) {
  expect_unknown({{"model_index.json", R"({"_class_name": "StableAudioPipeline",
                                          "transformer": ["diffusers", "X"]})"}});
}

TEST(DiffusionPipeline, RefusesAnIndexThatIsNone) {
  for (const char* index : {"", "[]", "{}", R"({"_class_name": 1})", R"({"_class_name": []})",
                            R"({"_class_name": ""})"}) {
    const auto error = refused({{"model_index.json", index}});
    EXPECT_EQ(error.code, ErrorCode::corrupt) << index;
    EXPECT_THAT(error.message, HasSubstr("model_index.json"));
  }
  EXPECT_EQ(refused({{"model_index.json", std::string(17 << 20, ' ')}}).code, ErrorCode::too_large);
  EXPECT_EQ(refused({{"model_index.json", R"({"_class_name": "X", "transformer": 1})"}}).code,
            ErrorCode::not_found);
  // A part is a folder of the model and nothing elsewhere.
  EXPECT_EQ(refused({{"model_index.json", R"({"_class_name": "X", "../vae": ["a", "b"]})"},
                     {"vae/model.safetensors", small()}})
                .code,
            ErrorCode::not_found);
}

TEST(DiffusionParts, AreFoundByWhatIsInThem) {
  GgufBuilder gguf;
  gguf.string("general.architecture", "flux")
      .string("general.name", "FLUX.1 dev")
      .tensor("double_blocks.0.img_attn.qkv.weight", {32, 4}, 8);
  const auto found = known({{"flux1-dev-q8_0.gguf", text_of(gguf)},
                            {"some.sft", vae()},
                            {"text/a.safetensors", clip(768)},
                            {"text/b.safetensors", t5()},
                            {"README.md", "# FLUX"}});
  EXPECT_EQ(found.architecture, "flux");
  EXPECT_EQ(found.name, "FLUX.1 dev");
  EXPECT_EQ(found.format, FileFormat::gguf);
  EXPECT_EQ(found.quantization, "Q8_0");
  EXPECT_EQ(found.files[0].path, "/memory/flux1-dev-q8_0.gguf");
  EXPECT_THAT(parts_of(found), ElementsAre("diffusion_model", "vae", "clip_l", "t5xxl"));
  EXPECT_EQ(part(found, "clip_l").files[0].path, "/memory/text/a.safetensors");
  EXPECT_EQ(part(found, "clip_l").size, Bytes{2 * 768 * 2});
  EXPECT_THAT(missing_diffusion_parts(found), IsEmpty());
}

TEST(DiffusionParts, PrefersTheLargerOfTwo) {
  const auto found = known({{"flux.safetensors", flux()},
                            {"t5xxl_fp16.safetensors", t5(8)},
                            {"t5xxl_fp8.safetensors", t5(4)}});
  EXPECT_EQ(part(found, "t5xxl").files[0].path, "/memory/t5xxl_fp16.safetensors");
  EXPECT_EQ(found.files.size(), 2U);
  EXPECT_THAT(missing_diffusion_parts(found), ElementsAre("clip_l", "vae"));
}

TEST(DiffusionParts, PrefersAPartBesideTheModelToTheOneInIt) {
  const auto found =
      known({{"sd3.safetensors",
              tensors({{"model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight", {2, 2}},
                       {"first_stage_model.decoder.conv_in.weight", {1, 1, 1, 1}}})},
             {"vae.safetensors", vae()}});
  EXPECT_THAT(parts_of(found), ElementsAre("diffusion_model", "vae"));
  EXPECT_EQ(part(found, "vae").files[0].path, "/memory/vae.safetensors");
  EXPECT_THAT(missing_diffusion_parts(found), ElementsAre("clip_l", "clip_g"));
}

TEST(DiffusionParts, AreAskedForByNameWhereThereAreSeveralModels) {
  const auto error =
      refused({{"flux1-dev-q4_0.safetensors", flux()}, {"flux1-dev-q8_0.safetensors", flux()}});
  EXPECT_EQ(error.code, ErrorCode::invalid_parameter);
  EXPECT_THAT(error.message, AllOf(HasSubstr("flux1-dev-q4_0.safetensors"), HasSubstr("name one")));
}

TEST(DiffusionParts, NameABrokenFileBesideTheModelOnly) {
  const std::string broken = vae().substr(0, 40);
  expect_unknown({{"a.safetensors", broken}, {"b.gguf", "GGUF"}});
  const auto error = refused({{"ae.safetensors", broken}, {"flux.safetensors", flux()}});
  EXPECT_EQ(error.code, ErrorCode::corrupt);
  EXPECT_THAT(error.message, HasSubstr("/memory/ae.safetensors"));
}

TEST(DiffusionParts, AreNotLookedForInOtherModels) {
  expect_unknown({{"config.json", R"({"architectures": ["LlamaForCausalLM"]})"},
                  {"model.safetensors", flux()}});
  expect_unknown({{"ae.safetensors", vae()}, {"clip_l.safetensors", clip(768)}});
  expect_unknown({{"model.bin", "x"}});
  expect_unknown({});
  Files collection;
  for (int i = 0; i < 200; ++i) collection[std::to_string(i) + ".safetensors"] = flux();
  expect_unknown(std::move(collection));
}

TEST(DiffusionParts, TakeTheCheckpointThatIsSafeToOpen) {
  const std::string pickle =
      "\x80\x02 model.diffusion_model.input_blocks.0.0.weight first_stage_model.x "
      "cond_stage_model.transformer.text_model.embeddings.x";
  const auto only = known({{"v1-5-pruned.ckpt", pickle}});
  EXPECT_EQ(only.architecture, "sd1");
  EXPECT_EQ(only.format, FileFormat::pytorch);
  EXPECT_EQ(only.total_size, Bytes{pickle.size()});
  EXPECT_THAT(only.parts, IsEmpty());
  EXPECT_THAT(missing_diffusion_parts(only), IsEmpty());

  const auto both = known({{"v1-5-pruned.ckpt", pickle}, {"v1-5-pruned.safetensors", flux()}});
  EXPECT_EQ(both.format, FileFormat::safetensors);
  expect_unknown({{"some.ckpt", "text model.diffusion_model.input_blocks. first_stage_model."}});
}

Result<std::optional<model::ModelProfile>> profile_file(
    const std::string& text, const std::string& path = "/models/flux1-dev.safetensors") {
  const auto bytes = std::as_bytes(std::span(text));
  MemorySource source(std::vector<std::byte>(bytes.begin(), bytes.end()));
  return profile_diffusion_file(source, path);
}

TEST(DiffusionFile, IsNothingWhereItHoldsNoDiffusionModel) {
  for (const auto& found : {profile_file(vae()), profile_file(clip(768)), profile_file("", "a.bin"),
                            profile_file("plain text", "/models/a")}) {
    ASSERT_TRUE(found) << found.error().message;
    EXPECT_FALSE(*found);
  }
  const auto cut = profile_file(flux().substr(0, 60));
  ASSERT_FALSE(cut);
  EXPECT_THAT(cut.error().message, HasSubstr("flux1-dev.safetensors"));
}

TEST(DiffusionFile, IsProfiledAlone) {
  const auto found = profile_file(flux());
  ASSERT_TRUE(found && *found);
  EXPECT_EQ((*found)->name, "flux1-dev");
  EXPECT_EQ((*found)->architecture, "flux");
  EXPECT_EQ((*found)->weight_type, "BF16");
  EXPECT_EQ((*found)->files[0].path, "/models/flux1-dev.safetensors");
  EXPECT_THAT(missing_diffusion_parts(**found), ElementsAre("clip_l", "t5xxl", "vae"));
}

}  // namespace
}  // namespace berth::formats
