// The caches of a model under vLLM, laid out as vLLM lays them out. Pure.
//
// By the rules of vLLM 0.32, v1/core/kv_cache_utils.py and v1/kv_cache_interface.py. Layers with
// like caches make groups of about as many layers each; a page is what one layer keeps of a block
// of tokens, and all pages are as large as the largest; every group takes its blocks from one pool,
// in which a block has a page for each layer of the widest group. bench/estimates_vllm compares the
// figures with those of vLLM itself.
#pragma once

#include "base/result.h"
#include "model/profile.h"

#include <cstdint>

namespace berth::estimate {

struct VllmOptions {
  std::uint32_t context = 0;            // --max-model-len, tokens
  std::uint32_t tensor_parallel = 1;    // ranks that share every layer
  std::uint32_t pipeline_parallel = 1;  // groups that share the layers
  std::uint32_t batched_tokens = 8192;  // --max-num-batched-tokens
  std::uint32_t batches = 1;            // under way at the same time: 2 with async scheduling
  std::uint32_t sequences = 256;        // --max-num-seqs
  std::uint32_t cache_bytes = 2;        // an element of the cache: 2, or 1 for --kv-cache-dtype fp8
  std::uint32_t block = 16;             // tokens of a cache block
  bool prefix_caching = true;           // false with --no-enable-prefix-caching
  bool graphs = true;                   // CUDA graphs; false with --enforce-eager
};

// The pool of one rank, as far as a sequence of some length depends on it.
struct VllmCacheLayout {
  Bytes block;                        // of the pool; 0 where the model keeps no cache
  std::uint64_t sequence_blocks = 0;  // that one sequence takes, of all groups together
};

// For a sequence of `tokens`, on a rank with the most layers. Fails with unsupported where the
// profile does not say what the caches are.
Result<VllmCacheLayout> vllm_cache_layout(const model::ModelProfile& profile,
                                          const VllmOptions& options, std::uint64_t tokens);

// What a sequence of `tokens` takes of the pool of one rank. Fails as vllm_cache_layout.
Result<Bytes> vllm_sequence_cache(const model::ModelProfile& profile, const VllmOptions& options,
                                  std::uint64_t tokens);

// The least cache with which a rank starts: a sequence of the whole context, and the one block that
// vLLM keeps back. Fails as vllm_cache_layout.
Result<Bytes> vllm_least_cache(const model::ModelProfile& profile, const VllmOptions& options);

// What each token of a long text adds, on one rank, padding left out: layers with a window add
// nothing. Fails as vllm_cache_layout.
Result<Bytes> vllm_token_cache(const model::ModelProfile& profile, const VllmOptions& options);

// Tokens of all requests together that `memory` for the cache of a rank has room for, if each is of
// the whole context: the figure that vLLM logs as "KV cache size". 0 where the model keeps no
// cache. Fails as vllm_cache_layout.
Result<std::uint64_t> vllm_cached_tokens(const model::ModelProfile& profile,
                                         const VllmOptions& options, Bytes memory);

// The number of layers of a rank with the most of them.
std::uint32_t vllm_rank_layers(const model::ModelProfile& profile, const VllmOptions& options);

}  // namespace berth::estimate
