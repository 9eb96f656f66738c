// Claims of GGUF models under llama.cpp: the memory that one way to run a model takes, by device.
// Pure and thread-safe.
#pragma once

#include "base/result.h"
#include "model/compute_table.h"
#include "model/placement.h"
#include "model/profile.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace berth::estimate {

// How elements of the KV cache are stored.
enum class CacheType { f32, f16, bf16, q8_0, q5_1, q5_0, q4_1, q4_0, iq4_nl };

// By the engine's own name ("q8_0"); nothing for a name that is not in the list above.
std::optional<CacheType> parse_cache_type(std::string_view name);
// Bytes of `elements` values, whole blocks (ggml's block sizes: 32 elements where quantised).
Bytes cache_bytes(CacheType type, std::uint64_t elements);
// Whether values are stored in blocks; such a V cache needs flash attention.
bool is_quantised(CacheType type);

// What the engine is told, as far as memory depends on it.
struct GgufOptions {
  std::uint32_t context = 0;  // tokens of one slot
  std::uint32_t slots = 1;
  std::uint32_t ubatch = 512;  // tokens computed at once
  CacheType key_type = CacheType::f16;
  CacheType value_type = CacheType::f16;
  bool flash_attention = true;
  bool full_window_cache = false;        // --swa-full
  bool cache_on_devices = true;          // --kv-offload
  bool batches_on_devices = true;        // --op-offload: of the host's layers
  bool outputs_for_all_tokens = false;   // --embeddings
  bool layers_may_stay_on_host = false;  // --override-tensor and its kin: counted on both sides
  std::uint32_t checkpoints = 0;         // a slot, of the window layers' cache
  Bytes prompt_cache;                    // --cache-ram
};

// The layers that a device takes; the one after the last is the output layer.
struct LayerShare {
  std::string device;
  std::uint32_t layers = 0;
};

// `tokens` rounded up to the 256 cells in which llama.cpp allocates a sequence's cache.
std::uint32_t padded_context(std::uint32_t tokens);

// Cells that a sliding-window layer keeps for one slot: llama.cpp pads
// min(context, window + ubatch) to 256 (llama_kv_cache_iswa, one stream a sequence).
std::uint32_t window_cells(const model::ModelProfile& profile, const GgufOptions& options);

// The KV cache of one layer, all slots, or the state of a recurrent one. Exact for full, grouped,
// latent and sliding-window attention.
Bytes layer_cache(const model::ModelProfile& profile, const GgufOptions& options,
                  std::size_t layer);

// The claim of a split by layers: the devices in order, the host ("cpu") last. Layers go to devices
// from the last backwards, as llama.cpp does: the first ones stay on the host, the output layer is
// the first to leave it. Weights are exact (a head that is tied to the token embeddings is copied
// to the device of the output layer); compute buffers are those of `compute`, where it has
// them, else an upper bound (see compute_bound.h).
// Fails with unsupported where the profile lacks what is needed, with invalid_parameter where the
// shares add up to more layers than there are.
Result<model::Claim> gguf_claim(const model::ModelProfile& profile, const GgufOptions& options,
                                std::span<const LayerShare> shares,
                                const model::ComputeTable* compute = nullptr);

}  // namespace berth::estimate
