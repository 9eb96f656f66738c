// What the readers of audio and diffusion layouts share: a folder's own name, and its files where
// an engine finds them. Internal to formats.
#pragma once

#include "formats/file_set.h"
#include "model/profile.h"

#include <string>
#include <string_view>

namespace berth::formats {

// The name that people gave to the folder at `location`: its last component, or, in a cache of
// Hugging Face (models--ORG--NAME/snapshots/REVISION), the repository's name.
std::string folder_name(std::string_view location);

// A file of the set where an engine finds it. Fails with not_found, naming the file.
Result<model::ModelFile> locate_file(const FileSet& files, std::string_view path);

// Appends a file to a profile's weights and counts it.
void add_file(model::ModelProfile& profile, model::ModelFile file);

}  // namespace berth::formats
