// FileSet: the files of one model where they are: a folder of this machine, or a repository of a
// hub. What reads a model's layout takes this, and never a path.
#pragma once

#include "base/bytes.h"
#include "base/json.h"
#include "formats/byte_source.h"

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace berth::formats {

struct FileEntry {
  std::string path;  // relative to the set, with '/': "text_encoder/model.safetensors"
  Bytes size;
};

// Thread-safe where `open` is. The list is made once, so it may be older than the files.
class FileSet {
 public:
  FileSet() = default;
  FileSet(const FileSet&) = delete;
  FileSet& operator=(const FileSet&) = delete;
  virtual ~FileSet() = default;

  // Path or address, for messages.
  [[nodiscard]] virtual std::string_view name() const = 0;
  // Regular files, sorted by path.
  [[nodiscard]] virtual const std::vector<FileEntry>& files() const = 0;
  // Opens one of `files()`. Errors as open_file.
  [[nodiscard]] virtual Result<std::unique_ptr<ByteSource>> open(std::string_view path) const = 0;
  // Where an engine finds the file: an absolute path, or an address.
  [[nodiscard]] virtual std::string locate(std::string_view path) const = 0;

  // Null where there is none.
  [[nodiscard]] const FileEntry* find(std::string_view path) const;
  [[nodiscard]] bool contains(std::string_view path) const { return find(path) != nullptr; }
};

// The files of a folder and of the folders in it, two levels deep; hidden ones (a leading dot) are
// left out, links are followed. Fails with not_found, permission_denied, io, or invalid_parameter
// above 10,000 entries.
Result<std::unique_ptr<FileSet>> list_folder(const std::filesystem::path& folder);

// The folder without a list of what is in it: `files()` is empty, and any path in it opens.
std::unique_ptr<FileSet> unlisted_folder(const std::filesystem::path& folder);

// Files in memory, by path: for tests and fuzzing.
std::unique_ptr<FileSet> files_in_memory(std::map<std::string, std::string> files);

// The whole text of a small file. Fails with not_found, too_large above `limit`, or as open_file;
// names the file.
Result<std::string> read_text(const FileSet& files, std::string_view path, Bytes limit = 16_MiB);

// A JSON object in a file. Fails with corrupt where it is something else. Python's NaN and
// Infinity, which some tools write, are taken for null.
Result<json::object> read_json(const FileSet& files, std::string_view path, Bytes limit = 16_MiB);

}  // namespace berth::formats
