// Engines whose memory is told by classes that were measured, or by a formula of their maker:
// vox-box and MindIE. Pure.
#pragma once

#include "base/result.h"
#include "model/placement.h"
#include "model/profile.h"

#include <cstdint>
#include <string>

namespace berth::estimate {

// What a speech model takes under vox-box, on the device or ("cpu") in main memory alone. The class
// is found by the family and the size of its weights; larger than the largest class counts four
// times its weights, as the classes do at least. Fails with unsupported for a family that vox-box
// does not have.
Result<model::Claim> vox_box_claim(const model::ModelProfile& profile, const std::string& device);

struct MindieOptions {
  std::uint32_t context = 8192;    // --max-seq-len, tokens
  std::uint32_t ranks = 1;         // NPUs that share the model
  std::uint32_t batch = 200;       // --max-batch-size, sequences decoded at once
  std::uint32_t block = 128;       // --cache-block-size, tokens
  std::uint32_t cache_bytes = 2;   // an element of the cache; 1 with kv_quant_type C8
  std::uint32_t weight_bytes = 2;  // an element in computation; 1 with W8A8
  Bytes cpu_swap = 5_GiB;          // --cpu-mem-size
};

// What a language model takes on each of the NPUs, and in main memory. MHA, GQA, MQA and MLA; for
// the last a token keeps kv_lora_rank + qk_rope_head_dim elements on every rank. Fails with
// unsupported where the profile does not say what the caches are.
Result<model::Claim> mindie_claim(const model::ModelProfile& profile, const MindieOptions& options,
                                  const std::vector<std::string>& devices);

}  // namespace berth::estimate
