// What the readers of layouts share: a folder's own name, its files where an engine finds them, and
// names compared and listed. Internal to formats.
#pragma once

#include "formats/file_set.h"
#include "model/profile.h"

#include <string>
#include <string_view>
#include <vector>

namespace berth::formats {

// What people call the model in the folder at `location`: "ORG/NAME" in a cache of Hugging Face
// (models--ORG--NAME/snapshots/REVISION), else the folder's last component.
std::string repository_name(std::string_view location);
// The name that people gave to the folder at `location`: its last component, or, in a cache of
// Hugging Face (models--ORG--NAME/snapshots/REVISION), the repository's name.
std::string folder_name(std::string_view location);

// A file of the set where an engine finds it. Fails with not_found, naming the file.
Result<model::ModelFile> locate_file(const FileSet& files, std::string_view path);

// The last component of a path of a set: "model.gguf".
std::string_view file_name_of(std::string_view path);
// What is in front of it: "folder/", or "" in the set's own folder.
std::string_view folder_of(std::string_view path);

// The text with A to Z as a to z; all else stays.
std::string lower_case(std::string_view text);

// "a.gguf, b.gguf and 3 more": the last components of paths, for a message.
std::string listed(const std::vector<std::string>& paths);

// Appends a file to a profile's weights and counts it.
void add_file(model::ModelProfile& profile, model::ModelFile file);

}  // namespace berth::formats
