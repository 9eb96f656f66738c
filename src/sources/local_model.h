// A model on this machine's disk, found by what a user wrote: a path, or a glob such as
// "/m/*.gguf".
#pragma once

#include "base/describe.h"
#include "base/result.h"
#include "model/profile.h"

#include <filesystem>
#include <string>
#include <string_view>

namespace berth::sources {

// Whether `path` has a wildcard (`*`, `?` or `[`). It may still be the name of a file.
bool is_glob(std::string_view path);

// The path that the absolute, normal `path` means. Each part of it is a name where that is there,
// else a pattern as fnmatch(3) has it: `*` and `?` match neither `/` nor a leading dot, `[*]` is a
// star. A path without wildcards is not looked up.
//
// A glob must match one model: a file, a folder, or parts of one split model, of which the first
// that matches is taken. Links are followed; other things than regular files and folders, and names
// with control characters, match nothing; projectors (mmproj) go with the model that matches beside
// them. Opens no file. Fails with not_found, permission_denied, invalid_parameter (several models,
// ten of them listed) or too_large (100,000 entries were looked at); field "source".
Result<std::filesystem::path> resolve_glob(const std::filesystem::path& path);

// A model, and the path by which it was found. What a worker answers the server.
struct LocalModel {
  std::string path;
  model::ModelProfile profile;
};
BOOST_DESCRIBE_STRUCT(LocalModel, (), (path, profile))

// Reads what `path` means. Fails as resolve_glob and formats::profile_path. Blocking; thread-safe.
Result<LocalModel> profile_local(const std::filesystem::path& path);

}  // namespace berth::sources
