// What a model takes under vLLM. Pure.
//
// Weights are exact by the rules of its loader, the cache by those of its kv_cache_interface.py;
// activations, graphs and contexts are upper bounds, good to half a GiB (vLLM measures them itself
// at its start). An attention that is not known is refused, never guessed.
#pragma once

#include "base/result.h"
#include "model/placement.h"
#include "model/profile.h"

#include <cstdint>

namespace berth::estimate {

struct VllmOptions {
  std::uint32_t context = 0;            // --max-model-len, tokens
  std::uint32_t tensor_parallel = 1;    // ranks that share every layer
  std::uint32_t pipeline_parallel = 1;  // groups that share the layers
  std::uint32_t batched_tokens = 8192;  // --max-num-batched-tokens
  std::uint32_t sequences = 256;        // --max-num-seqs
  std::uint32_t cache_bytes = 2;        // an element of the cache: 2, or 1 for --kv-cache-dtype fp8
  std::uint32_t block = 16;             // tokens of a cache block
  bool graphs = true;                   // CUDA graphs; false with --enforce-eager
};

// What one rank holds of the weights: of the heaviest group where layers are shared out too. Norms,
// routers and the towers for images and audio are whole on every rank; projections to keys and
// values are copied where there are more ranks than KV heads. Weights of 32 bits are loaded as 16.
Bytes vllm_rank_weights(const model::ModelProfile& profile, const VllmOptions& options);

// The cache of a sequence of `tokens` on one rank, whole blocks, recurrent states included. Fails
// with unsupported where the profile does not say what the caches are.
Result<Bytes> vllm_sequence_cache(const model::ModelProfile& profile, const VllmOptions& options,
                                  std::uint64_t tokens);

// What each token of a long text adds, on one rank: layers with a window add nothing.
Result<Bytes> vllm_token_cache(const model::ModelProfile& profile, const VllmOptions& options);

// Least memory of one rank: weights, the cache of one sequence of the whole context, activations,
// graphs, runtime. `devices` are the ranks, in order; each takes as much.
Result<model::Claim> vllm_claim(const model::ModelProfile& profile, const VllmOptions& options,
                                const std::vector<std::string>& devices);

// Why the ranks can not share the model, as vLLM would refuse it at its start: heads, KV heads,
// vocabulary. Fails with invalid_parameter.
Result<void> check_tensor_parallel(const model::ModelProfile& profile, std::uint32_t ranks);

}  // namespace berth::estimate
