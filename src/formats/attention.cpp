#include "formats/attention.h"

#include "formats/architecture.h"

#include <algorithm>
#include <limits>

namespace berth::formats {
namespace {

constexpr std::uint64_t kMax32 = std::numeric_limits<std::uint32_t>::max();

// The layers that attend through the window, a layer each; empty where none does.
Result<std::vector<bool>> windowed_layers(const Hyperparameters& keys, const WindowRule* rule,
                                          std::uint32_t layers) {
  constexpr std::string_view kPattern = "attention.sliding_window_pattern";
  std::vector<bool> windowed(layers, false);
  if (keys.is_list(kPattern)) {
    BERTH_TRY(const auto list, keys.per_layer(kPattern, layers));
    for (std::uint32_t i = 0; i < layers; ++i) windowed[i] = list[i] != 0;
    return windowed;
  }
  const bool explicit_period = keys.has(kPattern);
  if (!explicit_period && (rule == nullptr || rule->period == 0)) return windowed;
  BERTH_TRY(const auto period, keys.number(kPattern, rule != nullptr ? rule->period : 0));
  for (std::uint32_t i = 0; i < layers; ++i) {
    const bool first = rule != nullptr && rule->full_first;
    windowed[i] = period == 0 || (first ? i % period != 0 : i % period + 1 < period);
  }
  return windowed;
}

Result<void> add_windows(const Hyperparameters& keys, std::uint32_t layers,
                         model::AttentionShape& shape) {
  const bool lfm = keys.architecture().starts_with("lfm2");
  const WindowRule* rule = window_rule(keys.architecture());
  // An architecture that we do not know needs the file to say both window and layers; with a window
  // alone engines give full attention (Mistral 7B, Phi 3).
  const bool known = rule != nullptr || lfm;
  if (!known && !keys.is_list("attention.sliding_window_pattern")) return {};
  if (rule != nullptr && rule->only_layers != 0 && rule->only_layers != layers) return {};
  BERTH_TRY(std::uint32_t window,
            keys.number("attention.sliding_window", rule != nullptr ? rule->window : 0));
  if (window == 0) return {};
  if (rule != nullptr && rule->fixed) window = rule->window;
  std::vector<bool> windowed(layers, false);
  if (lfm) {
    for (std::uint32_t i = 0; i < layers; ++i) windowed[i] = shape.kv_heads[i] != 0;
  } else {
    BERTH_TRY(windowed, windowed_layers(keys, rule, layers));
  }
  if (std::ranges::find(windowed, true) == windowed.end()) return {};
  shape.sliding_window = window;
  shape.windowed = std::move(windowed);
  BERTH_TRY(const auto key_length, keys.number("attention.key_length_swa", shape.key_length));
  BERTH_TRY(const auto value_length, keys.number("attention.value_length_swa", shape.value_length));
  if (key_length != shape.key_length || value_length != shape.value_length) {
    shape.windowed_key_length = key_length;
    shape.windowed_value_length = value_length;
  }
  return {};
}

// Layers that use the cache of an earlier one, and those that only predict ahead, keep none.
Result<void> drop_shared(const Hyperparameters& keys, std::uint32_t layers,
                         model::AttentionShape& shape) {
  BERTH_TRY(const auto shared, keys.number("attention.shared_kv_layers"));
  BERTH_TRY(const auto ahead, keys.number("nextn_predict_layers"));
  std::uint32_t with_cache = layers - std::min(layers, std::max(shared, ahead));
  // gemma3n: llama.cpp, src/models/gemma3n.cpp.
  if (keys.architecture() == "gemma3n") with_cache = std::min(layers, 20U);
  std::fill(shape.kv_heads.begin() + with_cache, shape.kv_heads.end(), 0);
  return {};
}

// llama.cpp, src/llama-hparams.cpp, n_embd_r and n_embd_s: convolution and state, a layer.
Result<std::uint64_t> state_elements(const Hyperparameters& keys, std::uint64_t embedding,
                                     const model::AttentionShape& shape) {
  // Products of three 21-bit numbers fit 63 bits; no real size comes near.
  constexpr std::uint32_t kLimit = 1U << 21;
  const auto bounded = [&](std::string_view name) -> Result<std::uint64_t> {
    BERTH_TRY(const auto value, keys.number(name));
    if (value >= kLimit)
      return fail(ErrorCode::corrupt, "{}: {} is too large", keys.key(name), value);
    return value;
  };
  if (embedding >= kLimit || shape.heads >= kLimit) return 0;
  BERTH_TRY(const auto wkv, bounded("wkv.head_size"));
  BERTH_TRY(const auto short_conv, bounded("shortconv.l_cache"));
  BERTH_TRY(const auto kda, bounded("kda.head_dim"));
  BERTH_TRY(const auto kernel, bounded("ssm.conv_kernel"));
  BERTH_TRY(const auto inner, bounded("ssm.inner_size"));
  BERTH_TRY(const auto state, bounded("ssm.state_size"));
  BERTH_TRY(const auto groups, bounded("ssm.group_count"));
  const std::uint64_t steps = kernel > 0 ? kernel - 1 : 0;
  if (groups > 1024 || steps > 1024) {
    return fail(ErrorCode::corrupt, "{}: {} groups and a kernel of {} are too large",
                keys.key("ssm"), groups, kernel);
  }
  if (wkv != 0) {
    BERTH_TRY(const auto shifts, keys.number("token_shift_count", 2));
    return (std::min(shifts, kLimit) + wkv) * embedding;
  }
  if (short_conv != 0) return embedding * (short_conv - 1);
  if (kda != 0) return 3 * (kernel > 0 ? steps : 3) * shape.heads * kda + kda * kda * shape.heads;
  if (keys.architecture() == "minimax-01") {
    if (shape.key_length >= kLimit) return 0;
    return std::uint64_t{shape.key_length} * shape.key_length * shape.heads;
  }
  return steps * (inner + 2 * groups * state) + state * inner;
}

// Which layers are recurrent, a layer each; sets their KV heads to 0 where they have no attention.
Result<std::vector<bool>> recurrent_layers(const Hyperparameters& keys, std::uint32_t layers,
                                           model::AttentionShape& shape) {
  std::vector<bool> recurrent(layers, false);
  switch (recurrence_of(keys.architecture())) {
    case Recurrence::all:
      recurrent.assign(layers, true);
      break;
    case Recurrence::beside:
      recurrent.assign(layers, true);
      return recurrent;
    case Recurrence::by_interval: {
      BERTH_TRY(const auto list, keys.per_layer("attention.recurrent_layers", layers));
      BERTH_TRY(const auto interval,
                keys.number("full_attention_interval", default_interval(keys.architecture())));
      for (std::uint32_t i = 0; i < layers; ++i) {
        recurrent[i] = list.empty() ? interval == 0 || (i + 1) % interval != 0 : list[i] != 0;
      }
      break;
    }
    case Recurrence::by_heads: {
      // nemotron_h has layers of feed-forward alone: neither attention nor state.
      BERTH_TRY(const auto feed_forward, keys.per_layer("feed_forward_length", layers));
      const bool nemotron = keys.architecture().starts_with("nemotron_h");
      for (std::uint32_t i = 0; i < layers; ++i) {
        const bool idle = nemotron && !feed_forward.empty() && feed_forward[i] != 0;
        recurrent[i] = shape.kv_heads[i] == 0 && !idle;
      }
      break;
    }
  }
  for (std::uint32_t i = 0; i < layers; ++i) {
    if (recurrent[i]) shape.kv_heads[i] = 0;
  }
  return recurrent;
}

}  // namespace

Result<std::uint32_t> Hyperparameters::number(std::string_view name, std::uint32_t fallback) const {
  const std::string full = key(name);
  if (!metadata_.contains(full)) return fallback;
  const auto value = find_number(metadata_, full);
  if (!value || *value > kMax32) {
    return fail(ErrorCode::corrupt, "{}: not a whole number of 32 bits", full);
  }
  return static_cast<std::uint32_t>(*value);
}

Result<std::vector<std::uint32_t>> Hyperparameters::per_layer(std::string_view name,
                                                              std::uint32_t layers) const {
  const std::string full = key(name);
  std::vector<std::uint32_t> values;
  if (!metadata_.contains(full)) return values;
  const GgufArray* list = find_array(metadata_, full);
  if (list == nullptr) {
    BERTH_TRY(const auto one, number(name));
    values.assign(layers, one);
    return values;
  }
  if (list->count < layers) {
    return fail(ErrorCode::corrupt, "{}: {} entries for {} layers", full, list->count, layers);
  }
  if (list->numbers.size() < layers) {
    return fail(ErrorCode::corrupt, "{}: not a list of whole numbers, one a layer", full);
  }
  for (std::uint32_t i = 0; i < layers; ++i) {
    if (list->numbers[i] > kMax32) {
      return fail(ErrorCode::corrupt, "{}: {} is too large", full, list->numbers[i]);
    }
    values.push_back(static_cast<std::uint32_t>(list->numbers[i]));
  }
  return values;
}

Result<CacheShapes> cache_shapes(const Hyperparameters& keys, std::uint32_t layers,
                                 std::uint32_t embedding_length) {
  CacheShapes shapes;
  model::AttentionShape& attention = shapes.attention;
  BERTH_TRY(const auto heads, keys.per_layer("attention.head_count", layers));
  BERTH_TRY(attention.kv_heads, keys.per_layer("attention.head_count_kv", layers));
  if (!heads.empty()) attention.heads = std::ranges::max(heads);
  if (attention.kv_heads.empty()) attention.kv_heads = heads;
  attention.kv_heads.resize(layers, 0);
  const std::uint32_t per_head = attention.heads != 0 ? embedding_length / attention.heads : 0;
  BERTH_TRY(attention.key_length, keys.number("attention.key_length", per_head));
  BERTH_TRY(attention.value_length, keys.number("attention.value_length", per_head));
  // Multi-head latent attention: values are a view of the keys (llama-kv-cache.cpp, has_v).
  BERTH_TRY(const auto latent, keys.number("attention.key_length_mla"));
  attention.latent = latent != 0;
  if (attention.latent) attention.value_length = 0;
  BERTH_TRY(auto recurrent, recurrent_layers(keys, layers, attention));
  BERTH_TRY(const auto state, state_elements(keys, embedding_length, attention));
  if (state != 0 && std::ranges::find(recurrent, true) != recurrent.end()) {
    shapes.recurrent = {.layers = std::move(recurrent), .state_elements = state};
  }
  BERTH_CHECK(drop_shared(keys, layers, attention));
  BERTH_CHECK(add_windows(keys, layers, attention));
  if (keeps_no_cache(keys.architecture())) std::ranges::fill(attention.kv_heads, 0);
  return shapes;
}

}  // namespace berth::formats
