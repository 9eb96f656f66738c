// What a model takes under vLLM. Pure.
//
// Weights are exact by the rules of its loader, the cache by those of vllm_cache.h; activations,
// graphs and contexts are upper bounds, good to half a GiB (vLLM measures them itself at its
// start). An attention that is not known is refused, never guessed.
#pragma once

#include "base/result.h"
#include "estimate/vllm_cache.h"
#include "model/placement.h"
#include "model/profile.h"

#include <cstdint>

namespace berth::estimate {

// What one rank holds of the weights: of the heaviest group where layers are shared out too. Norms,
// routers and the towers for images and audio are whole on every rank; projections to keys and
// values are copied where there are more ranks than KV heads. Weights of 32 bits are loaded as 16.
Bytes vllm_rank_weights(const model::ModelProfile& profile, const VllmOptions& options);

// Least memory of one rank: weights, vllm_least_cache(), activations, graphs, runtime. `devices`
// are the ranks, in order; each takes as much.
Result<model::Claim> vllm_claim(const model::ModelProfile& profile, const VllmOptions& options,
                                const std::vector<std::string>& devices);

// Why the ranks can not share the model, as vLLM would refuse it at its start: heads, KV heads,
// vocabulary. Fails with invalid_parameter.
Result<void> check_tensor_parallel(const model::ModelProfile& profile, std::uint32_t ranks);

}  // namespace berth::estimate
