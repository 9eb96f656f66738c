// The parts of a split GGUF model: found by their names, checked by their headers (llama.cpp,
// tools/gguf-split: split.no, split.count, split.tensors.count).
#pragma once

#include "formats/file_set.h"
#include "formats/profile.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace berth::formats {

// "folder/model-00002-of-00005.gguf" taken apart.
struct SplitName {
  std::string stem;  // "folder/model"
  std::uint32_t number = 0;
  std::uint32_t count = 0;
};
std::optional<SplitName> parse_split_name(std::string_view path);

// Reads the table of contents of a file of the set. Errors as FileSet::open and read_gguf.
Result<GgufPart> read_part(const FileSet& files, std::string_view path);

// All parts of the model that `given` at `path` is, or is any part of, the first one first.
//
// Fails with not_found where a part is missing, with corrupt where names and headers do not say the
// same, where one is of another model (its count, its number of tensors, its architecture), or
// where all together have not the tensors that they should; names the file.
Result<std::vector<GgufPart>> read_parts(const FileSet& files, std::string_view path,
                                         GgufPart given);

}  // namespace berth::formats
