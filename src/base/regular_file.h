// A regular file opened for reading, safely where the path comes from a user: never waits on a FIFO
// or touches a device, and a file that is cut meanwhile gives an error, not a signal.
#pragma once

#include "base/bytes.h"
#include "base/result.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <utility>

namespace berth {

// An open descriptor. Move-only; `read_at` may be called from several threads.
class RegularFile {
 public:
  // Fails with not_found, permission_denied, invalid_parameter (a folder, FIFO, socket or device)
  // or io; the message names the path.
  static Result<RegularFile> open(const std::filesystem::path& path);

  RegularFile(RegularFile&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)),
        path_(std::move(other.path_)),
        size_(other.size_),
        mtime_(other.mtime_) {}
  RegularFile& operator=(RegularFile&& other) noexcept;
  RegularFile(const RegularFile&) = delete;
  RegularFile& operator=(const RegularFile&) = delete;
  ~RegularFile();

  // As they were when the file was opened.
  [[nodiscard]] Bytes size() const { return size_; }
  [[nodiscard]] std::int64_t mtime() const { return mtime_; }  // nanoseconds since 1970

  // Fills `buffer` from `offset`. Fails with io, also where the file ends before it is full.
  Result<void> read_at(std::uint64_t offset, std::span<std::byte> buffer) const;

 private:
  RegularFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}

  int fd_ = -1;
  std::string path_;
  Bytes size_;
  std::int64_t mtime_ = 0;
};

}  // namespace berth
