#include "estimate/vllm_cache.h"

#include "estimate/compute_bound.h"

#include <algorithm>
#include <array>
#include <map>

namespace berth::estimate {
namespace {

// vLLM, MLA's decoding kernels: blocks of models with states beside it are multiples of this.
constexpr std::uint64_t kLatentAlignment = 128;

// Models whose states are those of Mamba 2: with prefix caching they keep one more
// (model_executor/layers/mamba/mamba_mixer2.py, get_kv_cache_spec).
constexpr auto kCheckpoints = std::to_array<std::string_view>(
    {"bamba", "falcon_h1", "granitemoehybrid", "nemotron_h", "zamba2"});

enum class Keeps { everything, window, state };

// What one layer keeps. Layers for which it is the same share a group.
struct LayerCache {
  Keeps keeps = Keeps::everything;
  std::uint64_t token_bytes = 0;  // 0 for a state
  std::uint64_t block = 0;        // tokens
  std::uint64_t page = 0;         // bytes of a block, padding included
  auto operator<=>(const LayerCache&) const = default;
};

// Layers that share their blocks: their numbers, in order.
struct Group {
  LayerCache cache;
  std::vector<std::uint32_t> layers;
};

using Buckets = std::map<LayerCache, std::vector<std::uint32_t>>;

std::uint64_t quotient_up(std::uint64_t count, std::uint64_t by) {
  return count / by + (count % by != 0 ? 1 : 0);
}

std::uint64_t rank_heads(std::uint64_t kv_heads, const model::ModelProfile& profile,
                         const VllmOptions& options) {
  if (profile.attention.latent) return kv_heads;  // every rank keeps the one vector
  return kv_heads == 0 ? 0 : quotient_up(kv_heads, std::max(options.tensor_parallel, 1U));
}

bool is_windowed(const model::ModelProfile& profile, std::size_t layer) {
  const auto& windowed = profile.attention.windowed;
  return profile.attention.sliding_window != 0 && layer < windowed.size() && windowed[layer];
}

// Bytes of a token in one layer, on one rank.
std::uint64_t token_bytes(const model::ModelProfile& profile, const VllmOptions& options,
                          std::size_t layer) {
  const auto& shape = profile.attention;
  const bool other = is_windowed(profile, layer) && shape.windowed_key_length != 0;
  const std::uint64_t key = other ? shape.windowed_key_length : shape.key_length;
  const std::uint64_t value = other ? shape.windowed_value_length : shape.value_length;
  return bounded_product(
      {rank_heads(shape.kv_heads[layer], profile, options), key + value, options.cache_bytes});
}

// Bytes of a layer's state, on one rank; 0 where there is none.
std::uint64_t state_bytes(const model::ModelProfile& profile, const VllmOptions& options) {
  const auto& recurrent = profile.recurrent;
  if (std::ranges::find(recurrent.layers, true) == recurrent.layers.end()) return 0;
  return quotient_up(bounded_product({recurrent.state_elements, 4}),
                     std::max(options.tensor_parallel, 1U));
}

Result<void> check_cache(const model::ModelProfile& profile) {
  if (!profile.unknown_cache.empty()) {
    return fail(ErrorCode::unsupported,
                "the memory of its caches can not be computed: {}; give a claim with the model",
                profile.unknown_cache);
  }
  return {};
}

// Beside states, blocks are so large that a page has room for one
// (vllm/platforms/interface.py, _align_hybrid_block_size).
std::uint64_t block_tokens(const model::ModelProfile& profile, const VllmOptions& options) {
  const std::uint64_t block = std::max(options.block, 1U);
  const std::uint64_t state = state_bytes(profile, options);
  const auto& heads = profile.attention.kv_heads;
  const auto first = std::ranges::find_if(heads, [](auto count) { return count != 0; });
  if (state == 0 || first == heads.end()) return block;
  const auto layer = static_cast<std::size_t>(first - heads.begin());
  const std::uint64_t token = std::max<std::uint64_t>(token_bytes(profile, options, layer), 1);
  const std::uint64_t step = profile.attention.latent ? std::max(block, kLatentAlignment) : block;
  return step * quotient_up(state, bounded_product({step, token}));
}

// Layers by what they keep, each page of its own size.
Buckets unpadded(const model::ModelProfile& profile, const VllmOptions& options) {
  const std::uint64_t block = block_tokens(profile, options);
  Buckets buckets;
  const auto& heads = profile.attention.kv_heads;
  for (std::uint32_t layer = 0; layer < heads.size(); ++layer) {
    if (const auto token = token_bytes(profile, options, layer); token != 0) {
      buckets[{.keeps = is_windowed(profile, layer) ? Keeps::window : Keeps::everything,
               .token_bytes = token,
               .block = block,
               .page = bounded_product({token, block})}]
          .push_back(layer);
    }
  }
  const auto& recurrent = profile.recurrent.layers;
  for (std::uint32_t layer = 0; layer < recurrent.size(); ++layer) {
    if (recurrent[layer]) {
      buckets[{.keeps = Keeps::state, .block = block, .page = state_bytes(profile, options)}]
          .push_back(layer);
    }
  }
  return buckets;
}

// unify_kv_cache_spec_page_size: more tokens to a block where that comes out even, padding where
// not.
Buckets with_equal_pages(const Buckets& buckets) {
  std::uint64_t largest = 0;
  for (const auto& [cache, layers] : buckets) largest = std::max(largest, cache.page);
  Buckets equal;
  for (const auto& [cache, layers] : buckets) {
    LayerCache padded = cache;
    if (cache.keeps != Keeps::state && cache.page != 0 && largest % cache.page == 0) {
      padded.block = bounded_product({cache.block, largest / cache.page});
    }
    padded.page = largest;
    auto& same = equal[padded];
    same.insert(same.end(), layers.begin(), layers.end());
    std::ranges::sort(same);
  }
  return equal;
}

// _get_kv_cache_groups_uniform_page_size: groups as large as the smallest bucket, or as the largest
// where that is less than half as large again; the layers of a bucket are dealt out in turn.
std::vector<Group> dealt_out(const Buckets& buckets) {
  std::size_t least = SIZE_MAX;
  std::size_t most = 0;
  for (const auto& [cache, layers] : buckets) {
    least = std::min(least, layers.size());
    most = std::max(most, layers.size());
  }
  const std::size_t size = 2 * most < 3 * least ? most : least;
  std::vector<Group> groups;
  for (const auto& [cache, layers] : buckets) {
    const std::size_t count = quotient_up(layers.size(), size);
    const std::size_t first = groups.size();
    groups.resize(first + count, Group{.cache = cache, .layers = {}});
    for (std::size_t i = 0; i < layers.size(); ++i) {
      groups[first + i % count].layers.push_back(layers[i]);
    }
  }
  return groups;
}

// The tokens that a layer with a window keeps beside those of the batches under way.
std::uint64_t window_tokens(const model::ModelProfile& profile) {
  const std::uint64_t window = profile.attention.sliding_window;
  // The last token is not counted; Cohere's see one more (model_executor/models/commandr.py).
  return profile.model_type.starts_with("cohere2") ? window : window - 1;
}

std::uint64_t window_blocks(const LayerCache& cache, const model::ModelProfile& profile,
                            const VllmOptions& options, std::uint64_t tokens) {
  const std::uint64_t under_way = bounded_product({options.batched_tokens, options.batches});
  if (profile.model_type.starts_with("llama4")) {  // by chunk, which begins with a block
    const std::uint64_t kept = profile.attention.sliding_window + under_way;
    return quotient_up(std::min(kept, tokens), cache.block);
  }
  // One more, as a window may begin within a block.
  return quotient_up(std::min(window_tokens(profile) + under_way, tokens), cache.block) + 1;
}

// Prefix caching keeps the state of a block's end as well; it is off where nothing attends.
std::uint64_t state_blocks(const model::ModelProfile& profile, const VllmOptions& options) {
  const auto& heads = profile.attention.kv_heads;
  const bool attends = std::ranges::any_of(heads, [](auto count) { return count != 0; });
  if (!attends || !options.prefix_caching) return 1;
  return std::ranges::find(kCheckpoints, profile.model_type) != kCheckpoints.end() ? 3 : 2;
}

std::uint64_t blocks_of(const LayerCache& cache, const model::ModelProfile& profile,
                        const VllmOptions& options, std::uint64_t tokens) {
  switch (cache.keeps) {
    case Keeps::everything:
      return quotient_up(tokens, cache.block);
    case Keeps::window:
      return window_blocks(cache, profile, options, tokens);
    case Keeps::state:
      return state_blocks(profile, options);
  }
  return 0;
}

// The part of a group that lies on the rank whose layers begin with `first`.
std::uint64_t layers_between(const std::vector<std::uint32_t>& layers, std::uint32_t first,
                             std::uint32_t count) {
  return static_cast<std::uint64_t>(std::ranges::count_if(
      layers, [&](std::uint32_t layer) { return layer >= first && layer - first < count; }));
}

}  // namespace

std::uint32_t vllm_rank_layers(const model::ModelProfile& profile, const VllmOptions& options) {
  return static_cast<std::uint32_t>(
      quotient_up(profile.layer_count, std::max(options.pipeline_parallel, 1U)));
}

Result<VllmCacheLayout> vllm_cache_layout(const model::ModelProfile& profile,
                                          const VllmOptions& options, std::uint64_t tokens) {
  BERTH_CHECK(check_cache(profile));
  const Buckets buckets = unpadded(profile, options);
  if (buckets.empty()) return VllmCacheLayout{};
  // One kind of cache: all layers share their blocks, be their pages alike or not.
  const auto kind = buckets.begin()->first.keeps;
  const bool alike =
      std::ranges::all_of(buckets, [&](const auto& bucket) { return bucket.first.keeps == kind; });
  const std::uint32_t count = std::max(vllm_rank_layers(profile, options), 1U);
  VllmCacheLayout layout;
  if (alike) {
    for (std::uint32_t first = 0; first < profile.layer_count; first += count) {
      Bytes block;
      for (const auto& [cache, layers] : buckets) {
        block += {bounded_product({layers_between(layers, first, count), cache.page})};
      }
      layout.block = std::max(layout.block, block);
    }
    layout.sequence_blocks = blocks_of(buckets.begin()->first, profile, options, tokens);
    return layout;
  }
  for (const auto& group : dealt_out(with_equal_pages(buckets))) {
    for (std::uint32_t first = 0; first < profile.layer_count; first += count) {
      layout.block = std::max(layout.block, Bytes{bounded_product({
                                                layers_between(group.layers, first, count),
                                                group.cache.page,
                                            })});
    }
    layout.sequence_blocks += blocks_of(group.cache, profile, options, tokens);
  }
  return layout;
}

Result<Bytes> vllm_sequence_cache(const model::ModelProfile& profile, const VllmOptions& options,
                                  std::uint64_t tokens) {
  BERTH_TRY(const auto layout, vllm_cache_layout(profile, options, tokens));
  return Bytes{bounded_product({layout.block.count, layout.sequence_blocks})};
}

Result<Bytes> vllm_least_cache(const model::ModelProfile& profile, const VllmOptions& options) {
  BERTH_TRY(const auto layout, vllm_cache_layout(profile, options, options.context));
  return Bytes{bounded_product({layout.block.count, layout.sequence_blocks + 1})};
}

Result<Bytes> vllm_token_cache(const model::ModelProfile& profile, const VllmOptions& options) {
  BERTH_CHECK(check_cache(profile));
  Bytes token;
  const auto& heads = profile.attention.kv_heads;
  const std::size_t layers =
      std::min<std::size_t>(heads.size(), vllm_rank_layers(profile, options));
  for (std::size_t layer = 0; layer < layers; ++layer) {
    if (!is_windowed(profile, layer)) token += {token_bytes(profile, options, layer)};
  }
  return token;
}

Result<std::uint64_t> vllm_cached_tokens(const model::ModelProfile& profile,
                                         const VllmOptions& options, Bytes memory) {
  BERTH_TRY(const auto layout, vllm_cache_layout(profile, options, options.context));
  if (layout.block == 0_B || layout.sequence_blocks == 0) return 0;
  // In the same steps as vLLM, whose rounding shows in the last digit.
  const std::uint64_t blocks = memory.count / layout.block.count;
  const double requests = static_cast<double>(blocks) / static_cast<double>(layout.sequence_blocks);
  return static_cast<std::uint64_t>(requests * options.context);
}

}  // namespace berth::estimate
