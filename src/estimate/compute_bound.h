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

// Compute buffer of one device or the host, in bytes, never below what llama.cpp reserves. With
// T = ubatch, C = cells of one slot, W = cells of its window, E = embedding length, X = experts
// that a token uses, F = feed-forward length of one, A = heads × key length, K = what the cache
// keeps of a token and layer, V = vocabulary. In bytes:
//   inputs    = T × (C + W) × 2, the masks; without flash attention × 4, and 8 for each value that
//               goes into the cache; rotations of a quantised cache; 64 T
//   results   = slots × V × 4, and E where each token has one
//   logits    = outputs × V × 4 + 5 E
//   scores    = T × C × heads × 4 without flash attention; on a device with a quantised cache K of
//               all cells and slots as f16 instead
// and T times in 32-bit floats, as all E, F, A and K here:
//   feed-forward = 5 E + 3 F (without a gate 5 E + F); experts 5 E + max(4 X F, 3 X E) + 8 each
//   attention    = 6 E + 3 A + K + scores; beside recurrent layers 4 E more
//   recurrent    = 19 E, and three states a slot
//   largest      = the most of the last three and logits: they come one after another and use the
//                  same memory
// The roles, each with half a MiB for what is small:
//   cpu_alone      = inputs + E + largest + results
//   device_whole   = inputs + largest, and 4 E where the cache stays on the host
//   host_whole     = inputs + 4 E + results
//   device_partly  = inputs + the most of: largest; attention + the cache of a layer of the host;
//                    6 E + 3 X F + the largest weight of the host
//   host_partly    = inputs + 5 E + results; cpu_alone where the host computes batches itself:
//                    without --op-offload, and with recurrent layers
//   device_of_many = 4 × inputs + 12 E + largest, since inputs are pipelined; recurrent: 24 E
//   host_of_many   = 4 × inputs + 10 E + results
// Encoders keep one E more on the host, and 10 E where there are many devices. Read off the answers
// of the judge for llama.cpp b11434 over 62 shapes (bench/estimates; fit.py prints both); masks, E
// and F of dense models with flash attention are exact but for one E. Zero for a projector's roles.
Bytes compute_bound(const model::ModelProfile& profile, const GgufOptions& options,
                    model::ComputeRole role);

// The engine's process without buffers: code, tokenizer, HTTP server. 64 MiB and 320 bytes a
// token of the vocabulary; measured for gemma3-270m (262,144 tokens): 102 MiB.
Bytes host_runtime(const model::ModelProfile& profile);

// Context, kernels and workspaces of a device's driver: 512 MiB (100 to 300 MiB reported for CUDA).
// Of a device of kind rpc, the process that serves it: 64 MiB.
Bytes device_runtime(std::string_view device);

// Products that stop at 1 PiB instead of overflowing: figures come from files.
std::uint64_t bounded_product(std::initializer_list<std::uint64_t> factors);

}  // namespace berth::estimate
