#include "formats/hugging_face.h"

#include "formats/config_caches.h"
#include "formats/config_defaults.h"
#include "formats/config_keys.h"
#include "formats/cursor.h"
#include "formats/layout_files.h"
#include "formats/weight_files.h"

#include <algorithm>
#include <array>

namespace berth::formats {
namespace {

constexpr std::uint32_t kMaxLayers = 4096;

// A JSON file that a model may have or not.
Result<std::optional<json::object>> read_optional(const FileSet& files, std::string_view path) {
  if (!files.contains(path)) return std::nullopt;
  BERTH_TRY(auto object, read_json(files, path, 64_MiB));
  return object;
}

// "license: apache-2.0" of the model card's front matter.
std::string licence_of(const FileSet& files) {
  const auto* card = files.find("README.md");
  if (card == nullptr) return "";
  const auto text = read_text(files, "README.md", 1_MiB);
  if (!text || !text->starts_with("---")) return "";
  const auto end = text->find("\n---", 3);
  const std::string_view front = std::string_view(*text).substr(0, end);
  constexpr std::string_view kKey = "\nlicense:";
  const auto at = front.find(kKey);
  if (at == std::string_view::npos) return "";
  auto value = front.substr(at + kKey.size());
  value = value.substr(0, value.find('\n'));
  while (!value.empty() && (value.front() == ' ' || value.front() == '"')) value.remove_prefix(1);
  while (!value.empty() && (value.back() == ' ' || value.back() == '"' || value.back() == '\r')) {
    value.remove_suffix(1);
  }
  return printable(value, 64);
}

std::string architecture_of(const ConfigKeys& config) {
  const auto* list = config.array("architectures");
  if (list != nullptr && !list->empty() && list->front().is_string()) {
    return printable(list->front().get_string(), 128);
  }
  return printable(config.text("model_type"), 128);
}

bool has_any(const ConfigKeys& config, std::initializer_list<std::string_view> keys) {
  return std::ranges::any_of(keys, [&](std::string_view key) { return config.has(key); });
}

// Whether it reads videos. Two families have no token for that in their configuration; vLLM goes by
// what these go by (its table of supported multimodal models).
bool watches(const ConfigKeys& keys) {
  if (has_any(keys, {"video_token_id", "video_token_index"})) return true;
  const std::string type = keys.text("model_type");
  if (type == "internvl_chat") {
    return language_keys(keys).text("model_type").starts_with("qwen");
  }
  constexpr double kFirstToWatch = 2.6;
  return (type == "minicpmv" || type == "minicpmo") &&
         keys.real("version").value_or(0) >= kFirstToWatch;
}

void set_modalities(const ConfigKeys& config, model::ModelProfile& profile) {
  using model::Modality;
  const auto thinker = config.inside("thinker_config");
  const ConfigKeys& keys = thinker ? *thinker : config;
  if (profile.category == model::Category::speech_to_text) {
    profile.inputs = {Modality::audio};
  } else {
    profile.inputs = {Modality::text};
    const auto embedding = keys.inside("embd_layer");  // Phi-4 multimodal
    if (has_any(keys, {"vision_config", "visual", "mm_vision_tower", "vision_tower",
                       "img_processor", "vision_encoder", "vit_config"}) ||
        (embedding && embedding->has("image_embd_layer"))) {
      profile.inputs.push_back(Modality::image);
    }
    if (watches(keys)) profile.inputs.push_back(Modality::video);
    if (has_any(keys, {"audio_config", "audio_processor", "audio_encoder"})) {
      profile.inputs.push_back(Modality::audio);
    }
  }
  const bool writes = profile.category == model::Category::llm ||
                      profile.category == model::Category::speech_to_text;
  if (writes) profile.outputs = {Modality::text};
}

std::size_t labels_of(const ConfigKeys& config) {
  if (const auto labels = config.inside("id2label")) return labels->object().size();
  const auto count = config.number("num_labels");
  return count && *count ? **count : 2;  // what transformers takes where nothing says
}

Result<model::Category> category_of(const FileSet& files, const ConfigKeys& config,
                                    const std::string& architecture) {
  using model::Category;
  const auto ends = [&](std::string_view tail) { return architecture.ends_with(tail); };
  if (ends("ForSequenceClassification") || ends("ForRanking")) {
    const std::size_t labels = labels_of(config);
    if (labels == 1 || ends("ForRanking")) return Category::reranker;
    return fail(ErrorCode::unsupported,
                "it sorts texts into {} classes ({}); of classifiers Berth serves rerankers only, "
                "which give one score",
                labels, architecture);
  }
  const std::string type = config.text("model_type");
  if (type == "whisper" || architecture.find("ASR") != std::string::npos ||
      architecture.find("Asr") != std::string::npos) {
    return Category::speech_to_text;
  }
  // The layout of sentence-transformers.
  if (files.contains("modules.json")) return Category::embedding;
  if (is_encoder_type(type) || ends("Model") || ends("ForMaskedLM")) {
    const bool chats = ends("ChatModel") || ends("LMHeadModel") || ends("OmniModel") ||
                       architecture == "ChatGLMModel" || architecture == "AquilaModel" ||
                       architecture == "UltravoxModel";
    if (!chats) return Category::embedding;
  }
  return Category::llm;
}

Result<std::string> pooling_of(const FileSet& files) {
  BERTH_TRY(const auto pooling, read_optional(files, "1_Pooling/config.json"));
  if (!pooling) return "";
  const ConfigKeys keys(*pooling, "1_Pooling/config.json: ");
  if (keys.flag("pooling_mode_lasttoken")) return "last";
  if (keys.flag("pooling_mode_cls_token")) return "cls";
  return keys.flag("pooling_mode_mean_tokens") ? "mean" : "";
}

struct Quantisation {
  std::string name;               // "AWQ, 4 bits"
  std::uint32_t packed_bits = 0;  // of weights packed in 32-bit integers
};

// The bits of compressed-tensors' first group: "config_groups": {"group_0": {"weights": {...}}}.
std::uint32_t compressed_bits(const ConfigKeys& keys) {
  const auto groups = keys.inside("config_groups");
  if (!groups || groups->object().empty()) return 0;
  const auto group = groups->inside(groups->object().begin()->key());
  const auto weights = group ? group->inside("weights") : std::nullopt;
  const auto bits = weights ? weights->number("num_bits") : Result<std::optional<std::uint32_t>>{};
  return bits ? bits->value_or(0) : 0;
}

Quantisation read_quantisation(const ConfigKeys& keys) {
  std::string method = printable(keys.text("quant_method"), 32);
  if (const auto inside = keys.inside("quantization"); method.empty() && inside) {
    method = "modelopt " + printable(inside->text("quant_algo"), 32);  // hf_quant_config.json
  }
  const auto given = keys.number("bits");
  std::uint32_t bits = given ? given->value_or(0) : 0;
  if (bits == 0) bits = compressed_bits(keys);
  if (method == "bitsandbytes") bits = keys.flag("load_in_4bit") ? 4 : 8;
  if (method == "mxfp4" || method.ends_with("NVFP4")) bits = 4;
  const bool packs = bits == 2 || bits == 4 || bits == 8;
  std::string name = method.empty() ? "quantised" : method;
  if (bits != 0) name += fmt::format(", {} bits", bits);
  return {.name = std::move(name), .packed_bits = packs ? bits : 0};
}

Result<Quantisation> quantisation_of(const FileSet& files, const ConfigKeys& config) {
  for (const auto& keys : {config, language_keys(config)}) {
    for (const std::string_view key : {"quantization_config", "compression_config"}) {
      if (const auto inside = keys.inside(key)) return read_quantisation(*inside);
    }
  }
  BERTH_TRY(const auto own, read_optional(files, "hf_quant_config.json"));
  if (own) return read_quantisation(ConfigKeys(*own, "hf_quant_config.json: "));
  return Quantisation{};
}

// Of layers of different widths the widest.
Result<std::uint32_t> feed_forward_of(const ConfigKeys& keys, const ConfigDefaults& defaults) {
  if (const auto* list = keys.array("intermediate_size")) {  // Gemma 3n
    std::uint32_t widest = 0;
    for (const auto& width : *list) widest = std::max(widest, whole_number(width).value_or(0));
    return widest;
  }
  BERTH_TRY(const auto found,
            keys.first_number({"intermediate_size", "n_inner", "ffn_hidden_size", "d_ff"}));
  return found.value_or(defaults.feed_forward);
}

Result<void> add_experts(const ConfigKeys& keys, model::ModelProfile& profile) {
  // Some models give a list, one a modality, all alike.
  if (const auto* list = keys.array("moe_num_experts"); list != nullptr && !list->empty()) {
    profile.experts = whole_number(list->front()).value_or(0);
  } else {
    BERTH_TRY(const auto experts, keys.first_number({"num_experts", "moe_num_experts",
                                                     "n_routed_experts", "num_local_experts"}));
    profile.experts = experts.value_or(0);
  }
  if (profile.experts != 0 && keys.array("num_experts_per_tok") == nullptr) {
    BERTH_TRY(const auto used,
              keys.first_number({"num_experts_per_tok", "num_experts_per_token", "top_k_experts",
                                 "moe_topk", "moe_top_k", "moe_k"}));
    profile.experts_used = used.value_or(0);
  }
  return {};
}

Result<void> add_shape(const ConfigKeys& keys, model::ModelProfile& profile) {
  const auto defaults = config_defaults(keys.text("model_type"));
  BERTH_TRY(const auto layers, keys.first_number({"num_hidden_layers", "n_layer", "n_layers",
                                                  "num_layers", "decoder_layers"}));
  const auto* kinds = keys.array("layers_block_type");  // alone in newer files of NemotronH
  const auto listed = kinds != nullptr ? static_cast<std::uint32_t>(kinds->size()) : 0;
  profile.layer_count = layers.value_or(listed != 0 ? listed : defaults.layers);
  if (profile.layer_count > kMaxLayers) {
    return fail(ErrorCode::corrupt, "{}: {} layers are more than {}",
                keys.place("num_hidden_layers"), profile.layer_count, kMaxLayers);
  }
  BERTH_TRY(const auto hidden,
            keys.first_number({"hidden_size", "n_embd", "n_embed", "d_model", "dim"}));
  profile.embedding_length = hidden.value_or(defaults.hidden);
  BERTH_TRY(profile.feed_forward_length, feed_forward_of(keys, defaults));
  BERTH_TRY(const auto vocabulary, keys.first_number({"vocab_size", "padded_vocab_size"}));
  profile.vocabulary = vocabulary.value_or(defaults.vocabulary);
  const auto inside = keys.inside("ffn_config");  // DBRX
  BERTH_CHECK(add_experts(inside && !keys.has("num_experts") ? *inside : keys, profile));
  BERTH_TRY(auto caches, config_caches(keys, profile.layer_count, profile.embedding_length));
  profile.attention = std::move(caches.shapes.attention);
  profile.recurrent = std::move(caches.shapes.recurrent);
  profile.unknown_cache = std::move(caches.unknown);
  if (profile.unknown_cache.empty() && profile.layer_count == 0) {
    profile.unknown_cache = "config.json does not say how many layers it has";
  }
  return {};
}

// Whether the output head is the token embeddings: what the config says, else what its class takes.
bool is_tied(const ConfigKeys& config, const ConfigKeys& language) {
  if (language.has("tie_word_embeddings")) return language.flag("tie_word_embeddings");
  if (config.has("tie_word_embeddings")) return config.flag("tie_word_embeddings");
  const std::string type = language.text("model_type");
  return type.starts_with("gemma") || type == "cohere" || type == "cohere2" || type == "gpt2" ||
         type == "bloom" || type == "opt";
}

Result<void> add_weights(const FileSet& files, const ConfigKeys& config,
                         const Quantisation& quantisation, model::ModelProfile& profile) {
  BERTH_TRY(const auto weights, find_weights(files));
  if (weights.files.empty()) {
    return fail(ErrorCode::not_found, "{}: there are no weights beside config.json", files.name());
  }
  profile.format = weights.format;
  for (const auto& file : weights.files) {
    profile.files.push_back({.path = files.locate(file.path), .size = file.size});
    profile.total_size += file.size;
  }
  if (weights.format != model::FileFormat::safetensors) {
    profile.weights.input = profile.total_size;  // all that can be told without unpickling
    return {};
  }
  const auto& kv_heads = profile.attention.kv_heads;
  WeightQuestion question{.layers = profile.layer_count,
                          .heads = profile.attention.heads,
                          .kv_heads = kv_heads.empty() ? 0 : std::ranges::max(kv_heads),
                          .packed_bits = quantisation.packed_bits,
                          .tied = is_tied(config, language_keys(config))};
  BERTH_TRY(auto sums, sum_safetensors(files, weights, question));
  profile.weights = std::move(sums.sizes);
  profile.parameters = sums.parameters;
  profile.weight_type = std::move(sums.dominant_type);
  return {};
}

// A window that no text is long enough for: the layers see all, and their cache grows with it.
void drop_idle_window(model::ModelProfile& profile) {
  auto& attention = profile.attention;
  const bool is_other = attention.windowed_key_length != 0;  // keys of such layers are shorter
  if (is_other || attention.sliding_window < profile.context_length) return;
  attention.sliding_window = 0;
  attention.windowed.clear();
}

Result<void> add_context(const FileSet& files, const ConfigKeys& config,
                         model::ModelProfile& profile) {
  const ConfigKeys language = language_keys(config);
  BERTH_TRY(const auto tokenizer, read_optional(files, "tokenizer_config.json"));
  BERTH_TRY(const auto encoder, read_optional(files, "sentence_bert_config.json"));
  std::optional<ConfigKeys> tokenizer_keys;
  std::optional<ConfigKeys> encoder_keys;
  const bool pools = profile.category == model::Category::embedding ||
                     profile.category == model::Category::reranker;
  if (tokenizer) {
    tokenizer_keys.emplace(*tokenizer, "tokenizer_config.json: ");
    profile.has_chat_template = tokenizer_keys->has("chat_template");
  }
  if (pools && encoder) encoder_keys.emplace(*encoder, "sentence_bert_config.json: ");
  profile.has_chat_template = profile.has_chat_template || files.contains("chat_template.jinja") ||
                              files.contains("chat_template.json");
  BERTH_TRY(profile.context_length,
            derived_context(language, pools && tokenizer_keys ? &*tokenizer_keys : nullptr,
                            encoder_keys ? &*encoder_keys : nullptr));
  drop_idle_window(profile);
  return {};
}

}  // namespace

Result<std::optional<model::ModelProfile>> profile_hugging_face(const FileSet& files) {
  if (!files.contains("config.json")) return std::nullopt;
  BERTH_TRY(const auto object, read_json(files, "config.json"));
  const ConfigKeys config(object, files.locate("config.json") + ": ");
  model::ModelProfile profile;
  profile.name = repository_name(files.name());
  profile.architecture = architecture_of(config);
  profile.model_type = printable(config.text("model_type"), 64);
  if (profile.architecture.empty()) {
    return fail(ErrorCode::unsupported,
                "{} names neither \"architectures\" nor \"model_type\", so it is not known what "
                "computes this model",
                config.place("").substr(0, config.place("").size() - 2));
  }
  profile.licence = licence_of(files);
  profile.needs_own_code = config.has("auto_map");
  BERTH_TRY(profile.category, category_of(files, config, profile.architecture));
  set_modalities(config, profile);
  BERTH_TRY(profile.pooling, pooling_of(files));
  BERTH_CHECK(add_shape(language_keys(config), profile));
  BERTH_CHECK(add_context(files, config, profile));
  BERTH_TRY(auto quantisation, quantisation_of(files, config));
  BERTH_CHECK(add_weights(files, config, quantisation, profile));
  profile.quantization =
      quantisation.name.empty() ? profile.weight_type : std::move(quantisation.name);
  return profile;
}

}  // namespace berth::formats
