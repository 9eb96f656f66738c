// The layouts of diffusion models: pipelines of diffusers, and the files that stable-diffusion.cpp
// loads, whole or in parts.
#pragma once

#include "formats/file_set.h"
#include "model/profile.h"

#include <optional>
#include <string>
#include <vector>

namespace berth::formats {

// The profile of the diffusion model in `files`; nothing where there is none.
//
// A folder with a model_index.json is a pipeline: its architecture is the class ("FluxPipeline"),
// its parts are the folders that hold weights. Else the files' contents decide, never their names:
// one diffusion model, safetensors or GGUF, with the encoders and autoencoders that lie beside it;
// its architecture is the family ("flux", "sdxl", as GGUF files call it), its parts are named as in
// diffusion_content.h. Of two files for one part the larger counts, and one that lies beside the
// model before the same inside it.
//
// Fails with invalid_parameter where several diffusion models are there; with not_found where a
// pipeline lacks weights, naming the file; with corrupt, unsupported, too_large, permission_denied
// or io for a broken one.
Result<std::optional<model::ModelProfile>> profile_diffusion(const FileSet& files);

// The same for one file: safetensors, GGUF, or a pickled checkpoint that holds all of a Stable
// Diffusion 1, 2 or XL, whose parts are not told apart. `path` becomes that of the profile's file.
Result<std::optional<model::ModelProfile>> profile_diffusion_file(ByteSource& source,
                                                                  std::string path);

// What a profile of the two above lacks to be served: a FLUX file alone has ["clip_l", "t5xxl",
// "vae"]. Empty where it is whole, and where it cannot be told.
std::vector<std::string> missing_diffusion_parts(const model::ModelProfile& profile);

}  // namespace berth::formats
