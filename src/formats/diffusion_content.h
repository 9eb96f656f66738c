// What a table of tensors holds of a diffusion model: its family, and which of its parts. Facts of
// stable-diffusion.cpp, which decides what is loaded (src/model_loader.cpp, get_sd_version).
// Internal to formats.
#pragma once

#include "formats/gguf.h"
#include "formats/safetensors.h"
#include "model/profile.h"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace berth::formats {

// A part, named as the engine's option for a file that holds it alone: "diffusion_model", "clip_l",
// "clip_g", "t5xxl", "llm", "llm_vision", "vae", "taesd"; also "clip_h", and "text_encoder" where
// an encoder is of no known kind.
struct ContentPart {
  std::string name;
  Bytes bytes;
  std::uint64_t elements = 0;
  std::string type;  // of most of its bytes: "F16", "Q4_K"
};

struct DiffusionContent {
  // Of the diffusion model: "sd1", "sdxl", "flux"; empty where the file has none.
  std::string family;
  bool video = false;              // it makes films
  bool takes_image = false;        // its input has channels for an image: inpainting, editing
  std::vector<ContentPart> parts;  // the diffusion model first

  [[nodiscard]] const ContentPart* find(std::string_view part) const;
};

// Pure. No family and no parts for a LoRA, a ControlNet or anything else.
DiffusionContent diffusion_content(std::span<const SafetensorsTensor> tensors);

// The tensors of a GGUF file in the same words.
std::vector<SafetensorsTensor> tensors_of(const GgufFile& file);

// What a pickled checkpoint is, by the tensor names in its beginning: only one that holds all of an
// older Stable Diffusion has a family. Sizes of its parts are not known.
std::string pickled_family(std::string_view beginning);

// The parts that the engine needs for a model of `family` beside the diffusion model; empty where
// the family is not known. "vae" may also be a "taesd".
std::span<const std::string_view> needed_parts(std::string_view family);

// Whether a GGUF file's general.architecture names a diffusion model: one of the families, also of
// those that are not told by their tensors.
bool is_diffusion_family(std::string_view name);

}  // namespace berth::formats
