// Pipelines of diffusers: a folder with a model_index.json and a folder for each part. Internal to
// formats.
#pragma once

#include "formats/file_set.h"
#include "model/profile.h"

#include <optional>

namespace berth::formats {

// As profile_diffusion, for a folder that has a model_index.json. Nothing for a pipeline that makes
// sound.
Result<std::optional<model::ModelProfile>> profile_pipeline(const FileSet& files);

}  // namespace berth::formats
