// What the readers of folder layouts share: a folder's own name, and which of its files are the
// weights that a loader takes. Internal to formats.
#pragma once

#include "formats/file_set.h"
#include "model/profile.h"

#include <string>
#include <string_view>
#include <vector>

namespace berth::formats {

// The name that people gave to the folder at `location`: its last component, or, in a cache of
// Hugging Face (models--ORG--NAME/snapshots/REVISION), the repository's name.
std::string folder_name(std::string_view location);

// A file of the set where an engine finds it. Fails with not_found, naming the file.
Result<model::ModelFile> locate_file(const FileSet& files, std::string_view path);

// Appends a file to a profile's weights and counts it.
void add_file(model::ModelProfile& profile, model::ModelFile file);

// Weights and how they are stored.
struct StoredWeights {
  model::FileFormat format = model::FileFormat::other;
  std::vector<FileEntry> files;  // of the set, sorted by path
};

// The weights that transformers and diffusers load of `folder` ("" or with a '/' at its end):
// safetensors before pickles, the plain ones before a variant (fp16), whole before split by an
// index. `stems` are the names to try, without suffix: "model", "pytorch_model". Each tensor is
// counted once, whatever copies lie beside. No files where there are none of these names; fails
// with not_found where an index names a file that is not there, with corrupt for a broken index.
Result<StoredWeights> loaded_weights(const FileSet& files, std::string_view folder,
                                     const std::vector<std::string_view>& stems);

}  // namespace berth::formats
