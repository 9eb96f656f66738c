#include "formats/hugging_face.h"

#include "formats/safetensors_builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::formats {
namespace {

using model::Category;
using model::Modality;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;

using Files = std::map<std::string, std::string>;

// A folder with a config.json and, unless `files` brings others, one small tensor.
Files folder(std::string config, Files files = {}) {
  files.emplace("config.json", std::move(config));
  const bool has_weights = std::ranges::any_of(files, [](const auto& file) {
    return file.first.ends_with(".safetensors") || file.first.ends_with(".bin");
  });
  if (!has_weights) {
    files["model.safetensors"] = SafetensorsBuilder().bf16("lm_head.weight", {1}).build();
  }
  return files;
}

Result<model::ModelProfile> profile_of(Files files) {
  const auto set = files_in_memory(std::move(files));
  BERTH_TRY(auto profile, profile_hugging_face(*set));
  if (!profile) return fail(ErrorCode::not_found, "no config.json");
  return *std::move(profile);
}

model::ModelProfile profile_config(std::string config, Files files = {}) {
  auto profile = profile_of(folder(std::move(config), std::move(files)));
  EXPECT_TRUE(profile) << profile.error().to_string();
  return profile.value_or(model::ModelProfile{});
}

// Elements that the cache grows by for each token of a long text, all layers.
std::uint64_t elements_per_token(const model::ModelProfile& profile) {
  const auto& shape = profile.attention;
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < shape.kv_heads.size(); ++i) {
    const bool windowed = !shape.windowed.empty() && shape.windowed[i];
    if (!windowed)
      sum += std::uint64_t{shape.kv_heads[i]} * (shape.key_length + shape.value_length);
  }
  return sum;
}

constexpr const char* kLlama31 = R"({"architectures": ["LlamaForCausalLM"], "model_type": "llama",
  "hidden_size": 4096, "intermediate_size": 14336, "max_position_embeddings": 131072,
  "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 8,
  "rope_scaling": {"factor": 8.0, "rope_type": "llama3", "original_max_position_embeddings": 8192},
  "tie_word_embeddings": false, "torch_dtype": "bfloat16", "vocab_size": 128256})";

TEST(HuggingFace, ReadsALlama) {
  const auto profile = profile_config(kLlama31);
  EXPECT_EQ(profile.format, model::FileFormat::safetensors);
  EXPECT_EQ(profile.architecture, "LlamaForCausalLM");
  EXPECT_EQ(profile.category, Category::llm);
  EXPECT_EQ(profile.context_length, 131072U);
  EXPECT_EQ(profile.layer_count, 32U);
  EXPECT_EQ(profile.attention.key_length, 128U);
  EXPECT_EQ(elements_per_token(profile) * 2, 131'072U);  // bytes at 16 bits
  EXPECT_THAT(profile.inputs, ElementsAre(Modality::text));
  EXPECT_TRUE(profile.unknown_cache.empty());
}

TEST(HuggingFace, KnowsLatentAttention) {
  const auto profile = profile_config(
      R"({"architectures": ["DeepseekV3ForCausalLM"], "model_type": "deepseek_v3",
          "hidden_size": 7168, "num_attention_heads": 128, "num_hidden_layers": 61,
          "num_key_value_heads": 128, "kv_lora_rank": 512, "qk_rope_head_dim": 64,
          "qk_nope_head_dim": 128, "v_head_dim": 128, "max_position_embeddings": 163840,
          "rope_scaling": {"type": "yarn", "factor": 40, "original_max_position_embeddings": 4096},
          "n_routed_experts": 256, "num_experts_per_tok": 8, "auto_map": {},
          "quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}})");
  EXPECT_TRUE(profile.attention.latent);
  EXPECT_EQ(elements_per_token(profile) * 2, 70'272U);
  EXPECT_EQ(profile.context_length, 163'840U);
  EXPECT_EQ(profile.experts, 256U);
  EXPECT_EQ(profile.experts_used, 8U);
  EXPECT_EQ(profile.quantization, "fp8");
  EXPECT_TRUE(profile.needs_own_code);
}

TEST(HuggingFace, TakesFromTheClassWhatANestedConfigLeavesOut) {
  const auto profile = profile_config(
      R"({"architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3",
          "text_config": {"hidden_size": 2560, "intermediate_size": 10240,
            "model_type": "gemma3_text", "num_hidden_layers": 34,
            "rope_scaling": {"factor": 8.0, "rope_type": "linear"}, "sliding_window": 1024},
          "vision_config": {"hidden_size": 1152, "num_hidden_layers": 27}})");
  EXPECT_EQ(profile.context_length, 131'072U) << "its scaling is in the length already";
  EXPECT_EQ(profile.attention.heads, 8U);
  EXPECT_EQ(profile.attention.key_length, 256U);
  EXPECT_THAT(profile.attention.kv_heads, Each(4U));
  EXPECT_EQ(profile.attention.sliding_window, 1024U);
  EXPECT_EQ(std::ranges::count(profile.attention.windowed, false), 5) << "every sixth of 34";
  EXPECT_THAT(profile.inputs, ElementsAre(Modality::text, Modality::image));
}

TEST(HuggingFace, TakesTheWindowAndItsLayersFromTheClass) {
  const auto profile = profile_config(
      R"({"architectures": ["AyaVisionForConditionalGeneration"], "model_type": "aya_vision",
          "text_config": {"model_type": "cohere2", "num_hidden_layers": 8}, "vision_config": {}})");
  EXPECT_EQ(profile.context_length, 8192U);
  EXPECT_EQ(profile.attention.heads, 64U);
  EXPECT_EQ(profile.attention.sliding_window, 4096U);
  EXPECT_EQ(std::ranges::count(profile.attention.windowed, false), 2) << "every fourth of 8";
  EXPECT_EQ(elements_per_token(profile), 2U * 64 * 256);
}

TEST(HuggingFace, ReadsWhichLayersAttendThroughAWindow) {
  const auto profile = profile_config(
      R"({"architectures": ["GptOssForCausalLM"], "model_type": "gpt_oss", "hidden_size": 2880,
          "num_hidden_layers": 4, "num_attention_heads": 64, "num_key_value_heads": 8,
          "head_dim": 64, "sliding_window": 128, "max_position_embeddings": 131072,
          "layer_types": ["sliding_attention", "full_attention", "sliding_attention",
                          "full_attention"], "num_local_experts": 32, "experts_per_token": 4,
          "rope_scaling": {"factor": 32.0, "rope_type": "yarn",
                           "original_max_position_embeddings": 4096},
          "quantization_config": {"quant_method": "mxfp4"}})");
  EXPECT_THAT(profile.attention.windowed, ElementsAre(true, false, true, false));
  EXPECT_EQ(profile.context_length, 131'072U);
  EXPECT_EQ(profile.quantization, "mxfp4, 4 bits");
}

TEST(HuggingFace, AWindowThatIsSwitchedOffIsNone) {
  const auto profile = profile_config(
      R"({"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_size": 3584,
          "num_hidden_layers": 28, "num_attention_heads": 28, "num_key_value_heads": 4,
          "max_position_embeddings": 32768, "sliding_window": 131072, "max_window_layers": 28,
          "use_sliding_window": false})");
  EXPECT_EQ(profile.attention.sliding_window, 0U);
  EXPECT_EQ(elements_per_token(profile), 28U * 4 * 256);
}

TEST(HuggingFace, ReadsHybridModels) {
  const auto profile = profile_config(
      R"({"architectures": ["Qwen3NextForCausalLM"], "model_type": "qwen3_next",
          "hidden_size": 2048, "num_hidden_layers": 48, "full_attention_interval": 4,
          "num_attention_heads": 16, "num_key_value_heads": 2, "head_dim": 256,
          "linear_num_key_heads": 16, "linear_num_value_heads": 32, "linear_key_head_dim": 128,
          "linear_value_head_dim": 128, "linear_conv_kernel_dim": 4, "num_experts": 512,
          "num_experts_per_tok": 10, "max_position_embeddings": 262144})");
  EXPECT_EQ(std::ranges::count(profile.recurrent.layers, true), 36);
  // In words of 32 bits: vLLM keeps these states in 16.
  EXPECT_EQ(profile.recurrent.state_elements,
            (3U * (2 * 16 * 128 + 32 * 128) + 32U * 128 * 128) / 2);
  EXPECT_EQ(elements_per_token(profile), 12U * 2 * 512);
  EXPECT_TRUE(profile.unknown_cache.empty());
}

TEST(HuggingFace, SaysWhichCacheItDoesNotKnow) {
  const auto profile = profile_config(
      R"({"architectures": ["NovelForCausalLM"], "model_type": "novel", "hidden_size": 64,
          "num_hidden_layers": 2, "num_attention_heads": 2,
          "layer_types": ["full_attention", "holographic_attention"]})");
  EXPECT_THAT(profile.unknown_cache, HasSubstr("holographic_attention"));
}

struct LengthCase {
  const char* name;
  const char* keys;
  std::uint32_t context;
};

class Lengths : public testing::TestWithParam<LengthCase> {};

TEST_P(Lengths, AreThoseOfVllm) {
  const auto profile =
      profile_config(fmt::format(R"({{"architectures": ["XForCausalLM"], "num_hidden_layers": 1,
                       "hidden_size": 8, "num_attention_heads": 1, {}}})",
                                 GetParam().keys));
  EXPECT_EQ(profile.context_length, GetParam().context);
}

INSTANTIATE_TEST_SUITE_P(
    HuggingFace, Lengths,
    testing::Values(
        LengthCase{"Nothing", R"("model_type": "x")", 2048},
        LengthCase{"Least", R"("max_position_embeddings": 4096, "seq_length": 1024)", 1024},
        LengthCase{"CommandR", R"("max_position_embeddings": 8192, "model_max_length": 131072)",
                   131072},
        LengthCase{"Yarn", R"("max_position_embeddings": 32768, "rope_scaling": {"type": "yarn",
                   "factor": 4.0, "original_max_position_embeddings": 32768})",
                   131072},
        LengthCase{"Linear", R"("max_position_embeddings": 4096, "rope_scaling": {"type": "linear",
                   "factor": 2.5})",
                   10240},
        LengthCase{"Longrope",
                   R"("max_position_embeddings": 131072, "rope_scaling": {"type": "longrope",
                   "factor": 32.0})",
                   131072},
        LengthCase{"Parameters", R"("max_position_embeddings": 40960, "rope_parameters": {
                   "rope_type": "default", "rope_theta": 1000000})",
                   40960},
        LengthCase{"ByLayer", R"("max_position_embeddings": 65536, "rope_parameters": {
                   "full_attention": {"rope_type": "yarn", "factor": 8.0,
                   "original_max_position_embeddings": 8192},
                   "sliding_attention": {"rope_type": "default"}})",
                   65536},
        LengthCase{"Huge", R"("model_type": "x", "n_positions": 1024, "seq_len": null)", 1024}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(HuggingFace, TellsWhatAModelIsFor) {
  const auto category = [](const std::string& keys, Files files = {}) {
    return profile_config(fmt::format(R"({{"num_hidden_layers": 1, "hidden_size": 8,
                                           "num_attention_heads": 1, {}}})",
                                      keys),
                          std::move(files))
        .category;
  };
  EXPECT_EQ(category(R"("architectures": ["BertModel"], "model_type": "bert")"),
            Category::embedding);
  EXPECT_EQ(category(R"("architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3")"),
            Category::llm);
  EXPECT_EQ(category(R"("architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3")",
                     {{"modules.json", "[]"}}),
            Category::embedding);
  EXPECT_EQ(category(R"("architectures": ["XLMRobertaForSequenceClassification"],
                        "model_type": "xlm-roberta", "id2label": {"0": "LABEL_0"})"),
            Category::reranker);
  EXPECT_EQ(category(R"("architectures": ["ChatGLMModel"], "model_type": "chatglm")"),
            Category::llm);
  EXPECT_EQ(category(R"("architectures": ["WhisperForConditionalGeneration"],
                        "model_type": "whisper")"),
            Category::speech_to_text);
}

TEST(HuggingFace, RefusesAClassifierOfMoreClasses) {
  const auto profile = profile_of(folder(
      R"({"architectures": ["BertForSequenceClassification"], "model_type": "bert",
          "id2label": {"0": "a", "1": "b", "2": "c"}})"));
  ASSERT_FALSE(profile);
  EXPECT_EQ(profile.error().code, ErrorCode::unsupported);
  EXPECT_THAT(profile.error().message, HasSubstr("3 classes"));
}

TEST(HuggingFace, AnEncoderKeepsNoCacheAndHasItsOwnLimit) {
  const auto profile = profile_config(
      R"({"architectures": ["BertModel"], "model_type": "bert", "hidden_size": 384,
          "num_hidden_layers": 6, "num_attention_heads": 12, "max_position_embeddings": 512,
          "position_embedding_type": "absolute"})",
      {{"modules.json", "[]"},
       {"sentence_bert_config.json", R"({"max_seq_length": 256})"},
       {"1_Pooling/config.json", R"({"pooling_mode_mean_tokens": true})"},
       {"README.md", "---\nlanguage: en\nlicense: apache-2.0\n---\n# Title"}});
  EXPECT_EQ(profile.context_length, 256U);
  EXPECT_EQ(profile.pooling, "mean");
  EXPECT_EQ(profile.licence, "apache-2.0");
  EXPECT_EQ(elements_per_token(profile), 0U);
}

TEST(HuggingFace, WholeKeysWhereLatentAttentionIsNotServed) {
  const auto profile = profile_config(
      R"({"architectures": ["MiniCPM3ForCausalLM"], "model_type": "minicpm3", "hidden_size": 2560,
          "num_hidden_layers": 2, "num_attention_heads": 40, "kv_lora_rank": 256,
          "qk_nope_head_dim": 64, "qk_rope_head_dim": 32})");
  EXPECT_FALSE(profile.attention.latent);
  EXPECT_EQ(elements_per_token(profile), 2U * 40 * (96 + 96));
}

TEST(HuggingFace, CountsWhatAnIndexerKeeps) {
  const auto profile = profile_config(
      R"({"architectures": ["DeepseekV32ForCausalLM"], "model_type": "deepseek_v32",
          "hidden_size": 7168, "num_hidden_layers": 1, "num_attention_heads": 128,
          "kv_lora_rank": 512, "qk_rope_head_dim": 64, "index_head_dim": 128})");
  EXPECT_EQ(elements_per_token(profile) * 2, 2U * (512 + 64) + 128 + 4);
}

TEST(HuggingFace, AWindowAsLongAsTheContextIsNone) {
  const auto profile = profile_config(
      R"({"architectures": ["Phi3ForCausalLM"], "model_type": "phi3", "hidden_size": 3072,
          "num_hidden_layers": 1, "num_attention_heads": 32, "max_position_embeddings": 131072,
          "sliding_window": 131072})");
  EXPECT_EQ(profile.attention.sliding_window, 0U);
  EXPECT_EQ(elements_per_token(profile), 32U * 192);
}

TEST(HuggingFace, QwenHasNoWindowUnlessItSaysSo) {
  const std::string config = R"({"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2",
    "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "sliding_window": 8,
    "max_window_layers": 1)";
  EXPECT_EQ(profile_config(config + "}").attention.sliding_window, 0U);
  EXPECT_EQ(profile_config(config + R"(, "use_sliding_window": true})").attention.sliding_window,
            8U);
}

TEST(HuggingFace, ReadsTheStateOfAMambaByItsWidth) {
  const std::string config = R"({"architectures": ["FalconMambaForCausalLM"],
    "model_type": "falcon_mamba", "hidden_size": 4096, "num_hidden_layers": 1, "expand": 16,
    "state_size": 16, "conv_kernel": 4)";
  EXPECT_EQ(profile_config(config + "}").recurrent.state_elements, 16U * 4096 * (3 + 16) / 2);
  EXPECT_EQ(profile_config(config + R"(, "intermediate_size": 8192})").recurrent.state_elements,
            8192U * (3 + 16) / 2);
}

// Mamba-Codestral calls itself "mamba" in one of its two configurations, and is one of the second.
TEST(HuggingFace, AMambaWithHeadsIsOfTheSecondKind) {
  const auto profile = profile_config(
      R"({"architectures": ["Mamba2ForCausalLM"], "model_type": "mamba", "hidden_size": 4096,
          "num_hidden_layers": 1, "num_heads": 128, "head_dim": 64, "n_groups": 8,
          "state_size": 128, "conv_kernel": 4, "intermediate_size": 8192})");
  EXPECT_EQ(profile.recurrent.state_elements, (3U * (8192 + 2 * 8 * 128) + 128U * 64 * 128) / 2);
}

TEST(HuggingFace, ReadsAttentionLayersByIndex) {
  const auto profile = profile_config(
      R"({"architectures": ["Lfm2ForCausalLM"], "model_type": "lfm2", "hidden_size": 1024,
          "num_hidden_layers": 4, "num_attention_heads": 16, "num_key_value_heads": 8,
          "conv_L_cache": 3, "full_attn_idxs": [1, 3]})");
  EXPECT_THAT(profile.attention.kv_heads, ElementsAre(0U, 8U, 0U, 8U));
  EXPECT_EQ(profile.recurrent.state_elements, 1024U);
}

// Bytes of vLLM 0.32.0: 3 * 384 elements of 16 bits, and 8 * 32 * 32 of 32.
TEST(HuggingFace, AStateMayBeWiderThanItsConvolution) {
  const auto profile = profile_config(
      R"({"architectures": ["NemotronHForCausalLM"], "model_type": "nemotron_h",
          "hidden_size": 128, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 32,
          "mamba_num_heads": 8, "mamba_head_dim": 32, "ssm_state_size": 32, "n_groups": 2,
          "conv_kernel": 4, "layers_block_type": ["linear_attention", "mlp", "full_attention"]})");
  EXPECT_EQ(profile.layer_count, 3U);
  EXPECT_THAT(profile.attention.kv_heads, ElementsAre(0U, 0U, 2U));
  EXPECT_EQ(profile.recurrent.state_elements * 4, 2U * 3 * 384 + 4U * 8 * 32 * 32);
}

// Gemma 4 as transformers 5 writes it.
TEST(HuggingFace, ReadsWhatSingleLayersHaveOfTheirOwn) {
  const auto with = [](std::string_view layers) {
    return profile_config(fmt::format(
        R"({{"architectures": ["Gemma4ForCausalLM"], "model_type": "gemma4_text",
             "hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
             "num_key_value_heads": 2, "head_dim": 32, "sliding_window": 128,
             "layer_types": ["sliding_attention", "full_attention"],
             "per_layer_config": {}}})",
        layers));
  };
  const auto profile = with(R"({"01": {"head_dim": 64, "num_key_value_heads": 1}})");
  EXPECT_TRUE(profile.unknown_cache.empty()) << profile.unknown_cache;
  EXPECT_EQ(profile.attention.key_length, 64U);
  EXPECT_EQ(profile.attention.windowed_key_length, 32U);
  EXPECT_THAT(profile.attention.kv_heads, ElementsAre(2U, 1U));
  EXPECT_THAT(with(R"({"00": {"sliding_window": 64}})").unknown_cache, HasSubstr("sliding_window"));
  EXPECT_THAT(with(R"({"2": {"head_dim": 64}})").unknown_cache, HasSubstr("per_layer_config"));
  EXPECT_THAT(with(R"({"x": {}})").unknown_cache, HasSubstr("\"x\""));
}

TEST(HuggingFace, DoesNotGuessACacheForImages) {
  const auto profile = profile_config(
      R"({"architectures": ["MllamaForConditionalGeneration"], "model_type": "mllama",
          "text_config": {"model_type": "mllama_text_model", "num_hidden_layers": 5,
            "cross_attention_layers": [3], "hidden_size": 64, "num_attention_heads": 2}})");
  EXPECT_THAT(profile.unknown_cache, HasSubstr("images"));
}

TEST(HuggingFace, ReadsExpertsAndWidthsWhereOthersPutThem) {
  const auto dbrx = profile_config(
      R"({"architectures": ["DbrxForCausalLM"], "model_type": "dbrx", "d_model": 6144,
          "n_layers": 2, "n_heads": 48, "attn_config": {"kv_n_heads": 8},
          "ffn_config": {"moe_num_experts": 16, "moe_top_k": 4}})");
  EXPECT_EQ(dbrx.experts, 16U);
  EXPECT_EQ(dbrx.experts_used, 4U);
  const auto bloom = profile_config(
      R"({"architectures": ["BloomForCausalLM"], "model_type": "bloom", "n_embed": 4096,
          "n_layer": 2, "num_attention_heads": 32})");
  EXPECT_EQ(bloom.embedding_length, 4096U);
  EXPECT_EQ(bloom.attention.key_length, 128U);
  const auto gemma = profile_config(
      R"({"architectures": ["Gemma3nForCausalLM"], "model_type": "gemma3n_text",
          "hidden_size": 64, "num_hidden_layers": 2, "intermediate_size": [128, 256]})");
  EXPECT_EQ(gemma.feed_forward_length, 256U);
}

TEST(HuggingFace, KnowsWhoChatsAndWhoWatches) {
  const auto omni = profile_config(
      R"({"architectures": ["Qwen2_5OmniModel"], "model_type": "qwen2_5_omni",
          "thinker_config": {"text_config": {"model_type": "qwen2_5_omni_text"},
            "audio_config": {}, "vision_config": {}, "video_token_index": 1}})");
  EXPECT_EQ(omni.category, Category::llm);
  EXPECT_THAT(omni.inputs,
              ElementsAre(Modality::text, Modality::image, Modality::video, Modality::audio));
  const auto phi = profile_config(
      R"({"architectures": ["Phi4MMForCausalLM"], "model_type": "phi4mm", "img_processor": null,
          "audio_processor": {}, "embd_layer": {"image_embd_layer": {}}})");
  EXPECT_THAT(phi.inputs, ElementsAre(Modality::text, Modality::image, Modality::audio));
  const auto intern = [](const std::string& language) {
    return profile_config(
               R"({"architectures": ["InternVLChatModel"], "model_type": "internvl_chat",
                   "vision_config": {}, "llm_config": {"model_type": ")" +
               language + R"("}})")
        .inputs;
  };
  EXPECT_THAT(intern("internlm2"), ElementsAre(Modality::text, Modality::image));
  EXPECT_THAT(intern("qwen2"), ElementsAre(Modality::text, Modality::image, Modality::video));
  const auto mini = [](const std::string& version) {
    return profile_config(
               R"({"architectures": ["MiniCPMV"], "model_type": "minicpmv", "vision_config": {},
                   "version": )" +
               version + "}")
        .inputs;
  };
  EXPECT_THAT(mini("2.5"), ElementsAre(Modality::text, Modality::image));
  EXPECT_THAT(mini("2.6"), ElementsAre(Modality::text, Modality::image, Modality::video));
}

TEST(HuggingFace, KeepsNomicToWhatItWasTrainedFor) {
  const auto profile = profile_config(
      R"({"architectures": ["NomicBertModel"], "model_type": "nomic_bert", "n_embd": 768,
          "n_layer": 12, "n_head": 12, "n_positions": 8192, "max_trained_positions": 2048})",
      {{"sentence_bert_config.json", R"({"max_seq_length": 8192})"}});
  EXPECT_EQ(profile.context_length, 2048U);
}

TEST(HuggingFace, SeesAChatTemplateWhereverItIs) {
  EXPECT_FALSE(profile_config(kLlama31).has_chat_template);
  EXPECT_TRUE(profile_config(kLlama31, {{"tokenizer_config.json", R"({"chat_template": "x"})"}})
                  .has_chat_template);
  EXPECT_TRUE(profile_config(kLlama31, {{"chat_template.jinja", "x"}}).has_chat_template);
}

TEST(HuggingFace, AFolderWithoutConfigIsNoneOfIt) {
  const auto set = files_in_memory({{"a.txt", "x"}});
  const auto profile = profile_hugging_face(*set);
  ASSERT_TRUE(profile);
  EXPECT_FALSE(*profile);
}

struct WrongCase {
  const char* name;
  const char* config;
  const char* says;
};

class Wrong : public testing::TestWithParam<WrongCase> {};

TEST_P(Wrong, IsNamedByFileAndField) {
  const auto profile = profile_of(folder(GetParam().config));
  ASSERT_FALSE(profile);
  EXPECT_THAT(profile.error().message, HasSubstr("config.json"));
  EXPECT_THAT(profile.error().message, HasSubstr(GetParam().says));
}

INSTANTIATE_TEST_SUITE_P(
    HuggingFace, Wrong,
    testing::Values(
        WrongCase{"NoObject", "[]", "no JSON object"}, WrongCase{"Empty", "{}", "architectures"},
        WrongCase{"Layers", R"({"model_type": "x", "num_hidden_layers": 1e9})",
                  "num_hidden_layers"},
        WrongCase{"Negative", R"({"model_type": "x", "num_hidden_layers": -1})",
                  "num_hidden_layers"},
        WrongCase{"Text", R"({"model_type": "x", "hidden_size": "many"})", "hidden_size"},
        WrongCase{"Nested",
                  R"({"model_type": "x", "text_config": {"model_type": "y", "hidden_size": -4}})",
                  "text_config.hidden_size"},
        WrongCase{"Short",
                  R"({"model_type": "x", "num_hidden_layers": 3, "layer_types": ["attention"]})",
                  "layer_types"},
        WrongCase{"Length", R"({"model_type": "x", "max_position_embeddings": 1e300})",
                  "max_position_embeddings"},
        WrongCase{"State",
                  R"({"model_type": "mamba", "num_hidden_layers": 1, "hidden_size": 8,
                      "state_size": 4294967295})",
                  "too large"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(HuggingFace, AModelWithoutWeightsIsNone) {
  const auto profile = profile_of({{"config.json", kLlama31}});
  ASSERT_FALSE(profile);
  EXPECT_EQ(profile.error().code, ErrorCode::not_found);
}

}  // namespace
}  // namespace berth::formats
