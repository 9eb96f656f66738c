// Which files of a folder are a model's weights, and what is in them. Internal to formats.
#pragma once

#include "formats/file_set.h"
#include "formats/safetensors.h"
#include "model/profile.h"

#include <string_view>
#include <vector>

namespace berth::formats {

// The weights that an engine loads, each once.
struct WeightFiles {
  model::FileFormat format = model::FileFormat::other;
  std::vector<FileEntry> files;  // in order
  std::string index;             // the path of the index that names them; empty where there is none
};

// The same as find_weights, by the names of the files alone: where an index names fewer than lie
// there, these are more.
WeightFiles named_weights(const std::vector<FileEntry>& files, std::string_view folder = "");

// In the order of vLLM's loader: safetensors before `.bin` before `.pt`; where there is an index,
// what it names and nothing else; `consolidated.*` (Mistral's own copy) only where it is all there
// is; no adapters, optimizer states, training arguments or variants ("model.fp16.safetensors")
// beside the plain files. `folder` is a path in the set, "" or "text_encoder/". Empty where there
// are none, and no index. Fails with corrupt on a broken index, with not_found where files that it
// names are missing, and says which and how many.
Result<WeightFiles> find_weights(const FileSet& files, std::string_view folder = "");

// What the tensors of a language model add up to.
struct WeightSums {
  model::WeightSizes sizes;
  std::uint64_t parameters = 0;  // of the language model and its encoders
  std::string dominant_type;     // by bytes: "BF16"
};

struct WeightQuestion {
  std::uint32_t layers = 0;
  std::uint32_t heads = 0;
  std::uint32_t kv_heads = 0;     // the most of any layer
  std::uint32_t packed_bits = 0;  // of a weight in packed integers (GPTQ, AWQ); 0 = none are packed
  bool tied = false;              // the output head is the token embeddings
};

// Reads the header of every file. Layers beyond `layers` (draft heads that predict ahead) are not
// loaded and not counted. Fails with corrupt (also where a tensor is in two files).
Result<WeightSums> sum_safetensors(const FileSet& files, const WeightFiles& weights,
                                   const WeightQuestion& question);

}  // namespace berth::formats
