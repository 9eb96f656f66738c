#include "formats/config_caches.h"

#include "formats/config_defaults.h"
#include "formats/cursor.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace berth::formats {
namespace {

constexpr auto kEncoders = std::to_array<std::string_view>(
    {"albert", "bert", "camembert", "clip", "deberta", "deberta-v2", "distilbert", "electra",
     "eurobert", "gte", "jina_bert", "modernbert", "mpnet", "new", "nomic_bert", "roberta",
     "siglip", "xlm-roberta"});

// vLLM takes these for latent attention where they have a rank.
constexpr auto kLatent = std::to_array<std::string_view>(
    {"axk1", "bailing_hybrid", "deepseek_mtp", "deepseek_v2", "deepseek_v3", "deepseek_v32",
     "glm4_moe_lite", "glm_moe_dsa", "kimi_k2", "kimi_linear", "longcat_flash", "pangu_ultra_moe"});

// Their sizes depend on more than the keys that are read here.
constexpr auto kUnread = std::to_array<std::string_view>(
    {"deepseek_v4", "nemotron-nas", "recurrent_gemma", "rwkv", "xlstm", "plamo2"});

enum class LayerKind { full, windowed, recurrent, beside, none };

bool contains(const auto& names, std::string_view name) {
  return std::ranges::find(names, name) != std::ranges::end(names);
}

// The words of `layer_types` and `layers_block_type`.
std::optional<LayerKind> kind_of(std::string_view word) {
  if (contains(std::to_array<std::string_view>({"full_attention", "attention", "global"}), word)) {
    return LayerKind::full;
  }
  if (contains(std::to_array<std::string_view>({"sliding_attention", "chunked_attention"}), word)) {
    return LayerKind::windowed;
  }
  if (contains(std::to_array<std::string_view>(
                   {"linear_attention", "mamba", "mamba2", "conv", "short_conv", "recurrent"}),
               word)) {
    return LayerKind::recurrent;
  }
  if (word == "hybrid") return LayerKind::beside;
  if (word == "moe" || word == "mlp") return LayerKind::none;
  return std::nullopt;
}

struct Kinds {
  std::vector<LayerKind> layers;
  std::string unknown;
};

Result<void> check_count(const ConfigKeys& keys, std::string_view key, std::size_t found,
                         std::uint32_t layers) {
  if (found >= layers) return {};
  return fail(ErrorCode::corrupt, "{}: {} entries for {} layers", keys.place(key), found, layers);
}

Result<Kinds> kinds_of_words(const ConfigKeys& keys, std::string_view key, const json::array& words,
                             std::uint32_t layers) {
  Kinds kinds;
  BERTH_CHECK(check_count(keys, key, words.size(), layers));
  for (std::uint32_t i = 0; i < layers; ++i) {
    const auto kind = words[i].is_string() ? kind_of(words[i].get_string()) : std::nullopt;
    if (!kind) {
      kinds.unknown = fmt::format("{} has \"{}\"", key, printable(to_text(words[i]), 40));
    }
    kinds.layers.push_back(kind.value_or(LayerKind::full));
  }
  return kinds;
}

// NemotronH: one letter a layer.
Result<Kinds> kinds_of_pattern(const ConfigKeys& keys, const std::string& pattern,
                               std::uint32_t layers) {
  Kinds kinds;
  BERTH_CHECK(check_count(keys, "hybrid_override_pattern", pattern.size(), layers));
  for (std::uint32_t i = 0; i < layers; ++i) {
    switch (pattern[i]) {
      case 'M':
        kinds.layers.push_back(LayerKind::recurrent);
        break;
      case '*':
        kinds.layers.push_back(LayerKind::full);
        break;
      case '-':
      case 'E':
        kinds.layers.push_back(LayerKind::none);
        break;
      default:
        kinds.layers.push_back(LayerKind::full);
        kinds.unknown = fmt::format("hybrid_override_pattern has '{}'",
                                    printable(std::string_view(&pattern[i], 1)));
    }
  }
  return kinds;
}

// One layer in `period` attends, the others keep a state.
std::vector<LayerKind> one_in(std::uint32_t period, std::uint32_t offset, LayerKind other,
                              std::uint32_t layers) {
  std::vector<LayerKind> kinds(layers, other);
  for (std::uint32_t i = 0; i < layers; ++i) {
    if (period != 0 && i % period == offset % period) kinds[i] = LayerKind::full;
  }
  return kinds;
}

// Hybrid models that say it by other keys than a list of words; empty where the model is none.
Result<std::vector<LayerKind>> hybrid_kinds(const ConfigKeys& keys, std::uint32_t layers) {
  const std::string type = keys.text("model_type");
  if (type == "mamba" || type == "mamba2" || type == "falcon_mamba") {
    return std::vector(layers, LayerKind::recurrent);
  }
  if (type == "falcon_h1") return std::vector(layers, LayerKind::beside);
  BERTH_TRY(const auto period, keys.number("attn_layer_period"));
  if (period) {
    BERTH_TRY(const auto offset, keys.number("attn_layer_offset", 0));
    return one_in(*period, offset, LayerKind::recurrent, layers);
  }
  BERTH_TRY(const auto interval, keys.number("full_attention_interval"));
  if (interval && *interval != 0) {
    return one_in(*interval, *interval - 1, LayerKind::recurrent, layers);
  }
  std::vector<LayerKind> kinds;
  const auto* indices = keys.array("attn_layer_indices");          // Bamba
  if (indices == nullptr) indices = keys.array("full_attn_idxs");  // the first of LFM2
  if (indices != nullptr) {
    kinds.assign(layers, LayerKind::recurrent);
    for (const auto& index : *indices) {
      const auto layer = whole_number(index);
      if (layer && *layer < layers) kinds[*layer] = LayerKind::full;
    }
  } else if (const auto* list = keys.array("attn_type_list")) {
    BERTH_CHECK(check_count(keys, "attn_type_list", list->size(), layers));
    for (std::uint32_t i = 0; i < layers; ++i) {
      const bool full = whole_number((*list)[i]).value_or(1) == 1;
      kinds.push_back(full ? LayerKind::full : LayerKind::recurrent);
    }
  }
  return kinds;
}

// Models with a window, where no list says which layers it is for.
Result<std::vector<LayerKind>> windowed_kinds(const ConfigKeys& keys, std::uint32_t layers) {
  const std::string type = keys.text("model_type");
  BERTH_TRY(const auto pattern,
            keys.first_number({"sliding_window_pattern", "_sliding_window_pattern"}));
  if (pattern && *pattern != 0) {
    return one_in(*pattern, *pattern - 1, LayerKind::windowed, layers);
  }
  if (type == "gemma2") return one_in(2, 1, LayerKind::windowed, layers);
  if (type == "gemma3_text") return one_in(6, 5, LayerKind::windowed, layers);
  if (type == "cohere2" || type == "llama4_text") {
    return one_in(4, 3, LayerKind::windowed, layers);
  }
  std::vector<LayerKind> kinds(layers, LayerKind::windowed);
  if (keys.has("use_sliding_window")) {
    BERTH_TRY(const auto full, keys.number("max_window_layers", layers));
    std::fill_n(kinds.begin(), std::min(full, layers), LayerKind::full);
  }
  return kinds;
}

Result<std::uint32_t> window_of(const ConfigKeys& keys, const ConfigDefaults& defaults) {
  // The classes of Qwen and SmolLM have it off where nothing says.
  const std::string type = keys.text("model_type");
  const bool usual = !type.starts_with("qwen") && type != "smollm3";
  if (!keys.flag("use_sliding_window", usual)) return 0;
  BERTH_TRY(const auto chunk, keys.number("attention_chunk_size"));
  BERTH_TRY(const auto window, keys.number("sliding_window"));
  if (window) return *window;
  if (chunk) return *chunk;
  // A null in the file is "none"; only where the key is absent the class has its say.
  return keys.object().contains("sliding_window") ? 0 : defaults.window;
}

Result<Kinds> layer_kinds(const ConfigKeys& keys, std::uint32_t layers, std::uint32_t window) {
  for (const std::string_view key : {"layer_types", "layers_block_type"}) {
    if (const auto* words = keys.array(key)) return kinds_of_words(keys, key, *words, layers);
  }
  if (const auto pattern = keys.text("hybrid_override_pattern"); !pattern.empty()) {
    return kinds_of_pattern(keys, pattern, layers);
  }
  BERTH_TRY(auto kinds, hybrid_kinds(keys, layers));
  if (kinds.empty() && window != 0) {
    BERTH_TRY(kinds, windowed_kinds(keys, layers));
  }
  if (kinds.empty()) kinds.assign(layers, LayerKind::full);
  return Kinds{.layers = std::move(kinds), .unknown = {}};
}

// Products of three numbers below this fit 63 bits; no real size comes near.
constexpr std::uint64_t kSizeLimit = 1U << 21;

// Reads sizes that are multiplied, and remembers if one was impossible.
class Sizes {
 public:
  explicit Sizes(const ConfigKeys& keys) : keys_(keys) {}
  // The first of the keys that is there, else `fallback`.
  std::uint64_t operator()(std::initializer_list<std::string_view> names,
                           std::uint64_t fallback = 0) {
    const auto found = keys_.first_number(names);
    if (!found && !error_) error_ = found.error();
    const std::uint64_t size = found && *found ? **found : fallback;
    if (size >= kSizeLimit && !error_) {
      error_ =
          make_error(ErrorCode::corrupt, "{}: {} is too large", keys_.place(*names.begin()), size);
    }
    return error_ ? 0 : size;
  }
  [[nodiscard]] const std::optional<Error>& error() const { return error_; }

 private:
  const ConfigKeys& keys_;
  std::optional<Error> error_;
};

// vLLM keeps states in 16 bits, unless the model asks for more
// (model_executor/models/config.py, update_mamba_ssm_cache_dtype).
bool has_wide_state(const ConfigKeys& keys) {
  const std::string type = keys.text("model_type");
  if (type.starts_with("qwen3_5")) return keys.text("mamba_ssm_dtype") == "float32";
  if (type != "nemotron_h") return false;
  const std::string width = keys.text("mamba_ssm_cache_dtype");
  return width.empty() || width == "float32";
}

// Convolution and state a layer and sequence, in words of 32 bits; 0 where the kind is not known.
// vLLM, model_executor/layers/mamba/mamba_utils.py.
Result<std::uint64_t> state_words(const ConfigKeys& keys, std::uint32_t hidden,
                                  const model::AttentionShape& shape) {
  Sizes size(keys);
  const std::string type = keys.text("model_type");
  std::uint64_t convolution = 0;
  std::uint64_t elements = 0;                // of the state
  if (keys.has("linear_num_value_heads")) {  // gated delta net: Qwen3-Next
    const auto key_heads = size({"linear_num_key_heads"});
    const auto value_heads = size({"linear_num_value_heads"});
    const auto key_length = size({"linear_key_head_dim"});
    const auto value_length = size({"linear_value_head_dim"});
    const auto steps = std::max<std::uint64_t>(size({"linear_conv_kernel_dim"}, 4), 1) - 1;
    convolution = steps * (2 * key_heads * key_length + value_heads * value_length);
    elements = value_heads * key_length * value_length;
  } else if (keys.has("attn_type_list")) {  // lightning attention: MiniMax
    elements = std::uint64_t{shape.heads} * shape.key_length * shape.key_length;
  } else if (keys.has("conv_L_cache")) {  // short convolutions: LFM2
    convolution = (std::max<std::uint64_t>(size({"conv_L_cache"}), 1) - 1) * hidden;
  } else {
    const auto state = size({"mamba_d_state", "ssm_state_size", "state_size"});
    const auto kernel = size({"mamba_d_conv", "conv_kernel"}, 4);
    const auto steps = std::max<std::uint64_t>(kernel, 1) - 1;
    const auto heads = size({"mamba_n_heads", "n_mamba_heads", "mamba_num_heads", "num_heads"});
    const auto length = size({"mamba_d_head", "mamba_headdim", "mamba_head_dim", "head_dim"});
    const auto expand = size({"mamba_expand", "expand"}, 2);
    const bool second = heads != 0 && length != 0;
    const bool first = !second && (type == "mamba" || type == "falcon_mamba");
    const auto by_heads = second ? heads * length : expand * hidden;
    // Falcon-Mamba's "expand" is not the truth, this is (transformers, FalconMambaConfig).
    const auto by_width = first ? size({"intermediate_size"}, by_heads) : by_heads;
    const auto inner = size({"mamba_d_ssm", "intermediate_size_mamba"}, by_width);
    const auto groups = second ? size({"mamba_n_groups", "mamba_ngroups", "n_groups"}, 1) : 0;
    if (state != 0) convolution = steps * (inner + 2 * groups * state);
    elements = inner * state;
  }
  if (size.error()) return fail(Error(*size.error()));
  const auto in_words = [](std::uint64_t halves) { return halves / 2 + halves % 2; };
  return in_words(convolution) + (has_wide_state(keys) ? elements : in_words(elements));
}

// Heads for keys and values of a layer with full attention.
Result<std::uint32_t> kv_heads_of(const ConfigKeys& keys, std::uint32_t heads,
                                  const ConfigDefaults& defaults) {
  const bool old_falcon = keys.text("model_type") == "falcon" &&
                          !keys.flag("new_decoder_architecture") && keys.flag("multi_query", true);
  if (old_falcon || (keys.text("model_type") == "gpt_bigcode" && keys.flag("multi_query", true))) {
    return 1;
  }
  if (const auto attention = keys.inside("attn_config")) {  // MPT, DBRX
    BERTH_TRY(const auto inside, attention->number("kv_n_heads", heads));
    return inside;
  }
  // ChatGLM says it in two keys.
  if (keys.has("multi_query_attention") && !keys.flag("multi_query_attention")) return heads;
  BERTH_TRY(const auto found, keys.first_number({"n_head_kv", "num_kv_heads", "num_key_value_heads",
                                                 "multi_query_group_num", "num_attention_groups"}));
  if (found) return *found;
  return defaults.kv_heads != 0 && !keys.has("num_attention_heads") ? defaults.kv_heads : heads;
}

// What vLLM's indexer of DeepSeek V3.2 keeps of a token, in elements of 16 bits: `length` of 8
// bits, with a scale of 32 bits for each 128 (deepseek_v2.py, DeepseekV32IndexerCache).
std::uint64_t indexer_elements(std::uint64_t length) {
  constexpr std::uint64_t kBlock = 128;
  return (length + length / kBlock * 4 + 1) / 2;
}

// One vector a layer for all heads, or, where vLLM does not know it for latent attention, whole
// keys of two parts, and values padded to them.
Result<bool> set_latent_lengths(const ConfigKeys& keys, model::AttentionShape& shape) {
  Sizes size(keys);
  const auto rank = size({"kv_lora_rank"});
  const auto rope = size({"qk_rope_head_dim"});
  const auto plain = size({"qk_nope_head_dim"});
  const auto index = size({"index_head_dim"});
  if (size.error()) return fail(Error(*size.error()));
  if (rank != 0 && contains(kLatent, keys.text("model_type"))) {
    shape.latent = true;
    shape.key_length = static_cast<std::uint32_t>(rank + rope + indexer_elements(index));
    return true;
  }
  if (rank == 0 || rope + plain == 0) return false;
  shape.key_length = shape.value_length = static_cast<std::uint32_t>(rope + plain);
  return true;
}

Result<void> set_lengths(const ConfigKeys& keys, std::uint32_t hidden,
                         const ConfigDefaults& defaults, model::AttentionShape& shape) {
  BERTH_TRY(const bool is_set, set_latent_lengths(keys, shape));
  if (is_set) return {};
  BERTH_TRY(auto length, keys.first_number({"head_dim", "hidden_size_per_head",
                                            "attention_head_dim", "kv_channels"}));
  if (!length || *length == 0) {
    const auto by_heads = shape.heads != 0 ? hidden / shape.heads : 0;
    length = defaults.head_length != 0 ? defaults.head_length : by_heads;
  }
  shape.key_length = *length;
  BERTH_TRY(shape.value_length, keys.number("v_head_dim", *length));
  // Gemma 4: other lengths where the attention is full.
  BERTH_TRY(const auto global, keys.number("global_head_dim"));
  if (global && *global != 0 && *global != *length) {
    shape.windowed_key_length = shape.windowed_value_length = *length;
    shape.key_length = shape.value_length = *global;
  }
  return {};
}

Result<void> set_kv_heads(const ConfigKeys& keys, const std::vector<LayerKind>& kinds,
                          const ConfigDefaults& defaults, model::AttentionShape& shape) {
  const auto layers = static_cast<std::uint32_t>(kinds.size());
  BERTH_TRY(const auto usual, kv_heads_of(keys, shape.heads, defaults));
  BERTH_TRY(const auto global, keys.number("num_global_key_value_heads", usual));
  BERTH_TRY(const auto shared, keys.number("num_kv_shared_layers", 0));
  for (std::uint32_t i = 0; i < layers; ++i) {
    const bool keeps =
        kinds[i] != LayerKind::recurrent && kinds[i] != LayerKind::none && i + shared < layers;
    const auto own = shape.latent ? 1 : kinds[i] == LayerKind::full ? global : usual;
    shape.kv_heads.push_back(keeps ? own : 0);
  }
  return {};
}

bool is_windowed(const model::AttentionShape& shape, std::size_t layer) {
  return layer < shape.windowed.size() && shape.windowed[layer];
}

// Where heads have other lengths in some layers, these must be those with a window, or those
// without. Half a sentence where it is otherwise.
std::string set_lengths_by_layer(const std::vector<std::uint32_t>& lengths,
                                 model::AttentionShape& shape) {
  std::optional<std::uint32_t> full;
  std::optional<std::uint32_t> windowed;
  for (std::size_t layer = 0; layer < lengths.size(); ++layer) {
    if (shape.kv_heads[layer] == 0) continue;
    auto& length = is_windowed(shape, layer) ? windowed : full;
    if (length && *length != lengths[layer]) return "its heads differ in length by layer";
    length = lengths[layer];
  }
  shape.key_length = shape.value_length = full.value_or(windowed.value_or(shape.key_length));
  shape.windowed_key_length = shape.windowed_value_length =
      full && windowed && *full != *windowed ? *windowed : 0;
  return {};
}

// What single layers have of their own (per_layer_config, which transformers 5 writes). Returns
// half a sentence on what is not understood; else empty.
Result<std::string> apply_layer_config(const ConfigKeys& keys, model::AttentionShape& shape) {
  const auto changes = keys.inside("per_layer_config");
  if (!changes) return std::string();
  std::vector<std::uint32_t> lengths(shape.kv_heads.size(), shape.key_length);
  bool other_lengths = false;
  for (const auto& [name, value] : changes->object()) {
    std::uint32_t layer = 0;
    const auto* end = name.data() + name.size();
    const bool is_number = std::from_chars(name.data(), end, layer).ptr == end;
    const auto own = changes->inside(name);
    if (!is_number || layer >= lengths.size() || !own) {
      return fmt::format("per_layer_config has \"{}\"", printable(name, 40));
    }
    for (const std::string_view key : {"sliding_window", "attention_chunk_size", "kv_lora_rank",
                                       "qk_rope_head_dim", "v_head_dim"}) {
      if (own->has(key)) return fmt::format("per_layer_config has \"{}\"", key);
    }
    BERTH_TRY(const auto heads, own->number("num_key_value_heads"));
    if (heads && shape.kv_heads[layer] != 0) shape.kv_heads[layer] = *heads;
    BERTH_TRY(const auto length, own->number("head_dim"));
    if (length) lengths[layer] = *length;
    other_lengths = other_lengths || length;
  }
  if (!other_lengths) return std::string();
  if (shape.latent || shape.value_length != shape.key_length || shape.windowed_key_length != 0) {
    return std::string("per_layer_config has \"head_dim\"");
  }
  return set_lengths_by_layer(lengths, shape);
}

}  // namespace

bool is_encoder_type(std::string_view model_type) { return contains(kEncoders, model_type); }

Result<ConfigCaches> config_caches(const ConfigKeys& keys, std::uint32_t layers,
                                   std::uint32_t hidden) {
  ConfigCaches caches;
  auto& shape = caches.shapes.attention;
  const std::string type = keys.text("model_type");
  const auto defaults = config_defaults(type);
  BERTH_TRY(const auto heads, keys.first_number({"num_attention_heads", "n_head", "n_heads",
                                                 "num_heads", "decoder_attention_heads"}));
  shape.heads = heads.value_or(defaults.heads);
  BERTH_CHECK(set_lengths(keys, hidden, defaults, shape));
  if (is_encoder_type(type)) {
    shape.kv_heads.assign(layers, 0);
    return caches;
  }
  BERTH_TRY(const auto window, window_of(keys, defaults));
  BERTH_TRY(auto kinds, layer_kinds(keys, layers, window));
  caches.unknown = std::move(kinds.unknown);
  if (contains(kUnread, type) || keys.has("compress_ratios")) {
    caches.unknown = fmt::format("its caches follow rules of \"{}\" alone", printable(type));
  }
  if (keys.has("cross_attention_layers")) caches.unknown = "it has a cache for its images as well";
  if (keys.flag("is_encoder_decoder")) caches.unknown = "it has a cache for its encoder as well";
  BERTH_CHECK(set_kv_heads(keys, kinds.layers, defaults, shape));
  shape.windowed.reserve(layers);
  for (const auto kind : kinds.layers) shape.windowed.push_back(kind == LayerKind::windowed);
  if (window == 0 || std::ranges::find(shape.windowed, true) == shape.windowed.end()) {
    shape.windowed.clear();
  } else {
    shape.sliding_window = window;
  }
  BERTH_TRY(auto not_understood, apply_layer_config(keys, shape));
  if (!not_understood.empty()) caches.unknown = std::move(not_understood);
  std::vector<bool> recurrent;
  recurrent.reserve(layers);
  for (const auto kind : kinds.layers) {
    recurrent.push_back(kind == LayerKind::recurrent || kind == LayerKind::beside);
  }
  if (std::ranges::find(recurrent, true) != recurrent.end()) {
    BERTH_TRY(const auto words, state_words(keys, hidden, shape));
    if (words == 0 && caches.unknown.empty()) {
      caches.unknown = "the state of its recurrent layers is not known";
    }
    caches.shapes.recurrent = {.layers = std::move(recurrent), .state_elements = words};
  }
  return caches;
}

}  // namespace berth::formats
