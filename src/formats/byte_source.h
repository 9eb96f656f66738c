// ByteSource: where a model file's bytes come from: a mapped file, memory, later ranges over HTTP.
#pragma once

#include "base/result.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

namespace berth::formats {

// Bytes by position. Not thread-safe; readers ask in rising order, mostly.
class ByteSource {
 public:
  ByteSource() = default;
  ByteSource(const ByteSource&) = delete;
  ByteSource& operator=(const ByteSource&) = delete;
  virtual ~ByteSource() = default;

  [[nodiscard]] virtual std::uint64_t size() const = 0;
  // Exactly `length` bytes from `offset`; valid until the next read. Fails with corrupt where the
  // range is not inside the source, with io where the bytes cannot be had.
  virtual Result<std::span<const std::byte>> read(std::uint64_t offset, std::uint64_t length) = 0;
};

// Bytes in memory: tests, fuzzing, what was fetched before.
class MemorySource : public ByteSource {
 public:
  explicit MemorySource(std::vector<std::byte> bytes) : bytes_(std::move(bytes)) {}
  [[nodiscard]] std::uint64_t size() const override { return bytes_.size(); }
  Result<std::span<const std::byte>> read(std::uint64_t offset, std::uint64_t length) override;

 private:
  std::vector<std::byte> bytes_;
};

// Opens a regular file for reading through a small window, so that a file that is cut or rewritten
// meanwhile gives an error and never a signal. Never waits on a FIFO or device. Fails with
// not_found, permission_denied, invalid_parameter (not a regular file) or io; names the path.
Result<std::unique_ptr<ByteSource>> open_file(const std::filesystem::path& path);

}  // namespace berth::formats
