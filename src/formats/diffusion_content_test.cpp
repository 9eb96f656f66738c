#include "formats/diffusion_content.h"

#include "formats/gguf_builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::formats {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

SafetensorsTensor tensor(std::string name, std::vector<std::uint64_t> shape = {2, 2},
                         std::string type = "F16") {
  std::uint64_t elements = 1;
  for (const std::uint64_t length : shape) elements *= length;
  return {.name = std::move(name),
          .type = std::move(type),
          .shape = std::move(shape),
          .elements = elements,
          .bytes = elements * 2};
}

std::vector<std::string> names_of(const DiffusionContent& content) {
  std::vector<std::string> names;
  names.reserve(content.parts.size());
  for (const auto& part : content.parts) names.push_back(part.name);
  return names;
}

DiffusionContent content_of(const std::vector<SafetensorsTensor>& tensors) {
  return diffusion_content(tensors);
}

// A UNet whose text is `width` wide.
std::vector<SafetensorsTensor> unet(const std::string& prefix, std::uint64_t width) {
  return {tensor(prefix + "input_blocks.0.0.weight", {320, 4, 3, 3}),
          tensor(prefix + "input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight", {640, width}),
          tensor(prefix + "output_blocks.5.1.proj_in.weight")};
}

struct Known {
  const char* family;
  const char* tensor;
};

class Families : public testing::TestWithParam<Known> {};

TEST_P(Families, AreKnownWithAndWithoutTheirPrefix) {
  for (const char* prefix : {"", "model.diffusion_model."}) {
    // FLUX's blocks are in all that is built from it.
    std::vector<SafetensorsTensor> tensors = {tensor(std::string(prefix) + GetParam().tensor)};
    const std::string_view family = GetParam().family;
    if (family.starts_with("chroma") || family.starts_with("flux")) {
      tensors.insert(tensors.begin(),
                     tensor(std::string(prefix) + "double_blocks.0.img_mod.lin.weight"));
    }
    const auto content = content_of(tensors);
    EXPECT_EQ(content.family, family);
    EXPECT_TRUE(is_diffusion_family(family));
    EXPECT_THAT(names_of(content), ElementsAre("diffusion_model"));
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, Families,
    testing::Values(Known{"sd3", "joint_blocks.0.x_block.attn.qkv.weight"},
                    Known{"flux", "double_blocks.0.img_attn.qkv.weight"},
                    Known{"flux", "single_transformer_blocks.0.attn.to_q.weight"},
                    Known{"flux2", "double_stream_modulation_img.lin.weight"},
                    Known{"chroma", "distilled_guidance_layer.in_proj.weight"},
                    Known{"chroma_radiance", "nerf_final_layer_conv.conv.weight"},
                    Known{"ovis_image", "double_blocks.0.img_mlp.gate_proj.weight"},
                    Known{"qwen_image", "transformer_blocks.0.img_mod.1.weight"},
                    Known{"z_image", "cap_embedder.0.weight"},
                    Known{"ltxv", "patchify_proj.weight"},
                    Known{"hyvid",
                          "txt_in.individual_token_refiner.blocks.0.adaLN_modulation.1.weight"},
                    Known{"wan", "blocks.0.cross_attn.norm_k.weight"}),
    [](const auto& info) { return std::string(info.param.family) + std::to_string(info.index); });

TEST(DiffusionContent, TellsUnetsByTheWidthOfTheirText) {
  EXPECT_EQ(content_of(unet("model.diffusion_model.", 768)).family, "sd1");
  EXPECT_EQ(content_of(unet("model.diffusion_model.", 1024)).family, "sd2");
  EXPECT_EQ(content_of(unet("", 2048)).family, "sdxl");
  EXPECT_EQ(content_of(unet("", 1280)).family, "sdxl");
  EXPECT_EQ(content_of(unet("", 17)).family, "");
  const auto diffusers = content_of(
      {tensor("conv_in.weight", {320, 4, 3, 3}), tensor("up_blocks.0.resnets.0.x"),
       tensor("down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k.weight", {640, 2048})});
  EXPECT_EQ(diffusers.family, "sdxl");
}

TEST(DiffusionContent, TakesACheckpointApart) {
  auto tensors = unet("model.diffusion_model.", 2048);
  tensors.push_back(
      tensor("conditioner.embedders.0.transformer.text_model.embeddings."
             "token_embedding.weight",
             {10, 768}));
  tensors.push_back(tensor("conditioner.embedders.1.model.token_embedding.weight", {10, 1280}));
  tensors.push_back(tensor("conditioner.embedders.1.model.ln_final.weight", {1280}));
  tensors.push_back(tensor("first_stage_model.decoder.conv_in.weight", {512, 4, 3, 3}));
  tensors.push_back(tensor("model_ema.decay", {1}));
  const auto content = content_of(tensors);
  EXPECT_EQ(content.family, "sdxl");
  EXPECT_THAT(names_of(content), ElementsAre("diffusion_model", "clip_l", "clip_g", "vae"));
  EXPECT_EQ(content.find("clip_g")->bytes, Bytes{(10 * 1280 + 1280) * 2});
  EXPECT_EQ(content.find("clip_g")->elements, 10U * 1280 + 1280);
  EXPECT_EQ(content.find("vae")->bytes, Bytes{512 * 4 * 3 * 3 * 2});
  EXPECT_EQ(content.find("t5xxl"), nullptr);
}

TEST(DiffusionContent, KnowsTheEncodersOfStableDiffusion3InOneFile) {
  const auto content = content_of(
      {tensor("model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight"),
       tensor("text_encoders.clip_l.transformer.text_model.embeddings.token_embedding.weight",
              {10, 768}),
       tensor("text_encoders.clip_g.transformer.text_model.embeddings.token_embedding.weight",
              {10, 1280}),
       tensor("text_encoders.t5xxl.transformer.encoder.block.0.layer.0.SelfAttention.q.weight"),
       tensor("first_stage_model.decoder.conv_in.weight")});
  EXPECT_EQ(content.family, "sd3");
  EXPECT_THAT(names_of(content),
              testing::UnorderedElementsAre("diffusion_model", "clip_l", "clip_g", "t5xxl", "vae"));
}

TEST(DiffusionContent, KnowsTheNumberedEncodersOfOlderFiles) {
  const auto content = content_of(
      {tensor("model.diffusion_model.double_blocks.0.txt_attn.proj.weight"),
       tensor("cond_stage_model.transformer.text_model.embeddings.token_embedding.weight",
              {10, 768}),
       tensor("cond_stage_model.1.transformer.encoder.block.0.layer.0.SelfAttention.k."
              "weight"),
       tensor("first_stage_model.decoder.conv_in.weight")});
  EXPECT_EQ(content.family, "flux");
  EXPECT_THAT(names_of(content),
              testing::UnorderedElementsAre("diffusion_model", "clip_l", "t5xxl", "vae"));
}

TEST(DiffusionContent, SeesThatAModelTakesAnImage) {
  auto inpaint = unet("model.diffusion_model.", 768);
  inpaint[0].shape[1] = 9;
  EXPECT_TRUE(content_of(inpaint).takes_image);
  EXPECT_FALSE(content_of(unet("model.diffusion_model.", 768)).takes_image);
  const auto fill = tensor("double_blocks.0.img_attn.qkv.weight");
  EXPECT_TRUE(content_of({fill, tensor("img_in.weight", {3072, 384})}).takes_image);
  EXPECT_FALSE(content_of({fill, tensor("img_in.weight", {3072, 64})}).takes_image);
}

TEST(DiffusionContent, KnowsAPartThatLiesAlone) {
  const auto kind = [](const std::vector<SafetensorsTensor>& tensors) {
    const auto content = content_of(tensors);
    EXPECT_EQ(content.family, "");
    return content.parts.empty() ? std::string("none") : content.parts.front().name;
  };
  const std::string clip = "text_model.embeddings.token_embedding.weight";
  EXPECT_EQ(kind({tensor(clip, {49408, 768})}), "clip_l");
  EXPECT_EQ(kind({tensor(clip, {49408, 1024})}), "clip_h");
  EXPECT_EQ(kind({tensor(clip, {49408, 1280})}), "clip_g");
  EXPECT_EQ(kind({tensor(clip, {49408, 768}), tensor("vision_model.embeddings.x")}), "none");
  EXPECT_EQ(kind({tensor("encoder.block.0.layer.0.SelfAttention.q.weight")}), "t5xxl");
  EXPECT_EQ(kind({tensor("decoder.conv_in.weight"), tensor("encoder.conv_in.weight")}), "vae");
  EXPECT_EQ(kind({tensor("decoder.conv1.weight"), tensor("conv2.weight")}), "vae");
  EXPECT_EQ(kind({tensor("decoder.layers.0.weight")}), "taesd");
  EXPECT_EQ(
      kind({tensor("model.embed_tokens.weight"), tensor("model.layers.0.self_attn.q_proj.weight")}),
      "llm");
  EXPECT_EQ(kind({tensor("token_embd.weight"), tensor("blk.0.attn_q.weight")}), "llm");
  EXPECT_EQ(kind({tensor("v.blk.0.attn_q.weight")}), "llm_vision");
  EXPECT_EQ(kind({tensor("anything.weight")}), "none");
}

TEST(DiffusionContent, TakesNoAdapterForAModel) {
  for (const auto& tensors :
       {std::vector{tensor("transformer.single_transformer_blocks.0.attn.to_q.lora_A.weight"),
                    tensor("double_blocks.0.x.lora_up.weight")},
        std::vector{tensor("controlnet_blocks.0.weight"), tensor("double_blocks.0.x")},
        std::vector{tensor("control_model.input_hint_block.0.weight")}}) {
    const auto content = content_of(tensors);
    EXPECT_EQ(content.family, "");
    EXPECT_THAT(content.parts, IsEmpty());
  }
  EXPECT_THAT(content_of({}).parts, IsEmpty());
}

TEST(DiffusionContent, SaysTheSameOfGguf) {
  GgufBuilder builder;
  builder.tensor("double_blocks.0.img_attn.qkv.weight", {4, 2}, 1)
      .tensor("img_in.weight", {384, 3072}, 1);
  const auto bytes = builder.build();
  MemorySource source(bytes);
  const auto file = read_gguf(source, "flux.gguf");
  ASSERT_TRUE(file) << file.error().message;
  const auto content = diffusion_content(tensors_of(*file));
  EXPECT_EQ(content.family, "flux");
  EXPECT_TRUE(content.takes_image);
  EXPECT_EQ(content.find("diffusion_model")->type, "F16");
  EXPECT_EQ(content.find("diffusion_model")->bytes, Bytes{(8 + 384 * 3072) * 2});
}

TEST(PickledFamily, NeedsTheWholeOfAStableDiffusion) {
  const std::string whole =
      "\x80\x02 model.diffusion_model.input_blocks.0.0.weight first_stage_model.decoder.conv_in "
      "cond_stage_model.";
  EXPECT_EQ(pickled_family(whole + "transformer.text_model.embeddings"), "sd1");
  EXPECT_EQ(pickled_family(whole + "model.transformer.resblocks.0"), "sd2");
  EXPECT_EQ(pickled_family(whole + " conditioner.embedders.1.model"), "sdxl");
  EXPECT_EQ(pickled_family(whole), "");
  EXPECT_EQ(pickled_family("model.diffusion_model.input_blocks.0.0.weight"), "");
  EXPECT_EQ(pickled_family(""), "");
}

}  // namespace
}  // namespace berth::formats
