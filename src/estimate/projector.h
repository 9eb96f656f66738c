// What a projector takes beside its model under llama.cpp. Pure and thread-safe.
#pragma once

#include "base/bytes.h"
#include "model/companion.h"
#include "model/compute_table.h"
#include "model/placement.h"

#include <cstdint>
#include <optional>

namespace berth::estimate {

// What the engine is told, as far as a projector's memory depends on it.
struct ProjectorOptions {
  bool on_device = true;                          // --mmproj-offload
  bool flash_attention = true;                    // --flash-attn
  std::optional<std::uint32_t> most_tokens = {};  // --image-max-tokens
};

// Tokens of an image that Berth allows where the projector would take more, since its memory grows
// with them: 4096, as Qwen-VL's own bound.
inline constexpr std::uint32_t kMostImageTokens = 4096;

// The most patches that are computed at once.
std::uint64_t patches_at_once(const model::Projector& projector, const ProjectorOptions& options);

// Compute buffer of the encoder at its largest image, in bytes. With P = patches, E = embedding
// length, F = feed-forward length (twice where gated), H = heads, T = tokens, W = width:
//   activations = P × 4 × (6 E + F)
//   picture     = P × patch² × 3 × 4
//   projection  = T × 4 × 2 W
//   masks       = P² × 6                  (where layers have windows: f32 and f16)
//   scores      = P² × H × 4              (without flash attention, or on a device where E / H is
//                                          no length that every one has a kernel for)
// Fitted to llama.cpp b11549 (its compute buffer at load) with shapes of seven published
// projectors, against which it is 1.0 to 1.9 times as large; the buffer grows with a larger image.
Bytes projector_compute(const model::Projector& projector, const ProjectorOptions& options);

// Adds weights and compute buffer to `claim`: on its first device, as llama.cpp has it, or on the
// host where it has none or the options say so. What `compute` has measured of it counts more than
// the bound.
void add_projector(const model::Projector& projector, const ProjectorOptions& options,
                   model::Claim& claim, const model::ComputeTable* compute = nullptr);

}  // namespace berth::estimate
