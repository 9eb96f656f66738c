#include "estimate/vllm.h"

#include "estimate/compute_bound.h"

#include <algorithm>

namespace berth::estimate {
namespace {

// CUDA context, kernels and the allocator's slack; NCCL's buffers where ranks talk. Measured
// figures range from 0.3 to 0.6 GiB, and a GiB with NCCL (reports in vLLM's issues 12059, 27951).
constexpr Bytes kContext = 600_MiB;
constexpr Bytes kCommunication = 1_GiB;
// Captured graphs: 0.36 GiB for a model of 32 layers; some ten MiB a layer.
constexpr Bytes kGraphsOfALayer = 12_MiB;
constexpr std::uint64_t kActivationBytes = 2;

Bytes divided(Bytes size, std::uint64_t by) { return {(size.count + by - 1) / by}; }

Bytes sum(const std::vector<Bytes>& sizes) {
  Bytes total;
  for (const auto size : sizes) total += size;
  return total;
}

// How much of the layers the heaviest group has, as if all were alike.
Bytes group_layers(const model::ModelProfile& profile, const VllmOptions& options) {
  const auto& layers = profile.weights.layers;
  const Bytes all = sum(layers);
  if (options.pipeline_parallel <= 1 || layers.empty()) return all;
  Bytes heaviest;
  const std::size_t count = vllm_rank_layers(profile, options);
  for (std::size_t first = 0; first < layers.size(); first += count) {
    Bytes group;
    for (std::size_t i = first; i < std::min(first + count, layers.size()); ++i) group += layers[i];
    heaviest = std::max(heaviest, group);
  }
  return heaviest;
}

// The widest moment of a pass over a whole batch: residual and normed input, the projections of
// attention and feed-forward with their product, and the logits of the sequences that end in it.
Bytes activations(const model::ModelProfile& profile, const VllmOptions& options) {
  const std::uint64_t ranks = std::max(options.tensor_parallel, 1U);
  const std::uint64_t hidden = profile.embedding_length;
  const std::uint64_t experts = std::max(profile.experts_used, 1U);
  const std::uint64_t forward = bounded_product({profile.feed_forward_length, experts}) / ranks;
  const std::uint64_t tokens = options.batched_tokens;
  const std::uint64_t wide = bounded_product({tokens, 4 * hidden + 3 * forward, kActivationBytes});
  const std::uint64_t logits = bounded_product({options.sequences, profile.vocabulary, 4 * 2});
  return {wide + logits / ranks};
}

Bytes graphs(const model::ModelProfile& profile, const VllmOptions& options) {
  return options.graphs ? Bytes{kGraphsOfALayer.count * vllm_rank_layers(profile, options)} : 0_B;
}

}  // namespace

Bytes vllm_rank_weights(const model::ModelProfile& profile, const VllmOptions& options) {
  const auto& sizes = profile.weights;
  const std::uint64_t ranks = std::max(options.tensor_parallel, 1U);
  Bytes all = sizes.input + group_layers(profile, options) + sizes.output;
  // With several groups the first holds the embeddings, the last the head: never one both.
  if (options.pipeline_parallel > 1) {
    all = group_layers(profile, options) + std::max(sizes.input, sizes.output);
  }
  const auto& kv_heads = profile.attention.kv_heads;
  const std::uint64_t heads = kv_heads.empty() ? 0 : std::ranges::max(kv_heads);
  const bool copies = heads != 0 && ranks > heads && !profile.attention.latent;
  const Bytes whole = std::min(sizes.replicated, all);
  const Bytes shared_kv = copies ? std::min(sizes.key_value, all - whole) : 0_B;
  Bytes rank = sizes.encoders + whole + divided(all - whole - shared_kv, ranks);
  if (copies) rank += divided(shared_kv, heads);
  return profile.weight_type == "F32" && profile.quantization == "F32" ? divided(rank, 2) : rank;
}

Result<model::Claim> vllm_claim(const model::ModelProfile& profile, const VllmOptions& options,
                                const std::vector<std::string>& devices) {
  BERTH_TRY(const auto cache, vllm_least_cache(profile, options));
  model::Claim claim;
  for (const auto& device : devices) {
    claim.devices.push_back({.device = device,
                             .weights = vllm_rank_weights(profile, options),
                             .kv_cache = cache,
                             .compute = activations(profile, options) + graphs(profile, options),
                             .runtime = kContext + (devices.size() > 1 ? kCommunication : 0_B)});
  }
  return claim;
}

Result<void> check_tensor_parallel(const model::ModelProfile& profile, std::uint32_t ranks) {
  const std::uint32_t heads = profile.attention.heads;
  if (ranks == 0 || (heads != 0 && heads % ranks != 0)) {
    return fail(make_error(ErrorCode::invalid_parameter,
                           "{} attention heads can not be shared by {} ranks; "
                           "--tensor-parallel-size must divide them",
                           heads, ranks)
                    .with_field("parameters"));
  }
  const auto& all = profile.attention.kv_heads;
  const std::uint32_t kv_heads = all.empty() ? 0 : std::ranges::max(all);
  const bool uneven =
      kv_heads > ranks ? kv_heads % ranks != 0 : kv_heads != 0 && ranks % kv_heads != 0;
  if (uneven && !profile.attention.latent) {
    return fail(make_error(ErrorCode::invalid_parameter,
                           "{} heads for keys and values can not be shared by {} ranks; "
                           "--tensor-parallel-size must divide them or be a multiple of them",
                           kv_heads, ranks)
                    .with_field("parameters"));
  }
  return {};
}

}  // namespace berth::estimate
