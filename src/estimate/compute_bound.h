// Upper bounds for what no table of the file says: compute buffers and the engine's own memory.
// They hold until an engine measures its buffers itself. Pure and thread-safe.
#pragma once

#include "base/bytes.h"
#include "estimate/gguf.h"
#include "model/compute_table.h"
#include "model/profile.h"

#include <cstdint>
#include <initializer_list>

namespace berth::estimate {

// Compute buffer of one device, in bytes, never below what llama.cpp reserves. With T = ubatch,
// E = embedding length, F = feed-forward length (eight times where the model has experts),
// A = heads × key length, C = cells of one slot:
//   masks       = T × (C + window cells) × 2          (× 4 without flash attention, as f32 and f16)
//   activations = T × 4 × (4 E + 3 F + 3 A)
//   scores      = T × C × heads × 4                   (without flash attention)
//   logits      = outputs × vocabulary × 4, twice     (buffer and graph)
// Fitted to llama.cpp b11434 and b11549 with gemma3-270m, where masks are exact, a token's
// activations are 37,432 bytes against 47,104 here.
// Several devices hold their inputs four times, for pipelining. Zero for a projector's roles.
Bytes compute_bound(const model::ModelProfile& profile, const GgufOptions& options,
                    model::ComputeRole role);

// The engine's process without buffers: code, tokenizer, HTTP server. 64 MiB and 320 bytes a
// token of the vocabulary; measured for gemma3-270m (262,144 tokens): 102 MiB.
Bytes host_runtime(const model::ModelProfile& profile);

// Context, kernels and workspaces of a device's driver: 512 MiB (100 to 300 MiB reported for CUDA).
Bytes device_runtime();

// Products that stop at 1 PiB instead of overflowing: figures come from files.
std::uint64_t bounded_product(std::initializer_list<std::uint64_t> factors);

}  // namespace berth::estimate
