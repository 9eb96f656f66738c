// Small files: whole reads, atomic writes, and locks that die with their owner. Blocking; call on a
// thread that may block.
#pragma once

#include "base/bytes.h"
#include "base/result.h"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>

namespace berth {

// The whole content. Fails with not_found, too_large (above `limit`) or io.
Result<std::string> read_file(const std::filesystem::path& path, Bytes limit = 16_MiB);

// The content of a small file that holds a key or a name, without white space at its end. Fails as
// read_file; too_large above 4 KiB.
Result<std::string> read_word(const std::filesystem::path& path);

// Makes a folder that only its owner may look into (0700), whether it is there or not. Fails with
// io.
Result<void> create_private_folder(const std::filesystem::path& path);

// Writes beside `path`, flushes, and renames: readers see the old content or the new, never a part.
Result<void> write_file_atomic(const std::filesystem::path& path, std::string_view content,
                               mode_t mode = 0644);

// Removes from `folder` what write_file_atomic left when its process was killed; nothing younger
// than a minute, which somebody may be writing.
void remove_unfinished_writes(const std::filesystem::path& folder);

// The last `lines` lines of a file, or of its first `end` bytes, reading at most `limit`. Empty if
// it is not there.
std::string read_last_lines(const std::filesystem::path& path, std::size_t lines,
                            Bytes limit = 64_KiB, std::optional<Bytes> end = std::nullopt);

// An exclusive flock on a file (created if need be), held until destruction. Move-only.
class FileLock {
 public:
  // Does not wait. Fails with conflict if another process holds it.
  static Result<FileLock> try_acquire(const std::filesystem::path& path);

  FileLock(FileLock&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  FileLock& operator=(FileLock&& other) noexcept;
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;
  ~FileLock();

 private:
  explicit FileLock(int fd) : fd_(fd) {}
  int fd_ = -1;
};

}  // namespace berth
