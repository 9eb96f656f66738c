// From a config.json to what each layer keeps: the counterpart of attention.h for Hugging Face's
// format. Internal to formats.
#pragma once

#include "formats/attention.h"
#include "formats/config_keys.h"

namespace berth::formats {

struct ConfigCaches {
  CacheShapes shapes;
  std::string unknown;  // half a sentence on what is not understood; empty where all is
};

// What the engine keeps for each sequence, by vLLM's rules (its model_arch_config_convertor.py and
// kv_cache_interface.py). Fails with corrupt on an impossible value; an attention that is not known
// is no error, but said in `unknown`.
Result<ConfigCaches> config_caches(const ConfigKeys& keys, std::uint32_t layers,
                                   std::uint32_t hidden);

// Reads a text at once and keeps nothing: BERT and its kin.
bool is_encoder_type(std::string_view model_type);

}  // namespace berth::formats
