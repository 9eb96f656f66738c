// From a model's files to its ModelProfile: the way into this module. Blocking; thread-safe.
#pragma once

#include "formats/file_set.h"
#include "formats/gguf.h"
#include "model/profile.h"

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace berth::formats {

// Profiles the model at `path`: a GGUF file (any part of a split one), a folder that holds one
// model's GGUF files (a projector beside it is left out), or one in Hugging Face's layout. The
// format is told by the content.
//
// A projector asked for by name has architecture "clip", an adapter (LoRA) has "adapter": neither
// can be served alone, and that is for the backend's match to say.
//
// Errors: not_found; permission_denied; invalid_parameter (several models in a folder, no regular
// file); unsupported (another format, a newer GGUF); corrupt (a broken or truncated file, a missing
// part); io.
Result<model::ModelProfile> profile_path(const std::filesystem::path& path);

// The same for the model that a set holds, as for a folder. `above` are the files of the folder
// above, where projectors may lie. Where it is null, the set is all there is, as of a repository: a
// GGUF model may be in a folder inside. Each file of `files` is opened once.
Result<model::ModelProfile> profile_files(const FileSet& files, const FileSet* above = nullptr);

// Whether a file, by its name, goes with another model (projector, draft heads) and is none itself.
bool is_companion_name(std::string_view path);

// One part of a GGUF model: its table of contents and where it is.
struct GgufPart {
  std::string path;
  GgufFile file;
};

// The profile of a model from the tables of its parts, first part first. Pure. Fails with corrupt
// where the metadata of a known meaning has an impossible value, or parts do not belong together.
Result<model::ModelProfile> profile_of(const std::vector<GgufPart>& parts);

}  // namespace berth::formats
