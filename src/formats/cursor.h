// Cursor: reads little-endian fields of a ByteSource in order, each checked against what is left.
// Internal to formats.
#pragma once

#include "formats/byte_source.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

namespace berth::formats {

static_assert(std::endian::native == std::endian::little, "Berth runs on little-endian machines");

// Makes text from a file fit for a message: no control characters or broken UTF-8, at most
// `limit` bytes.
std::string printable(std::string_view text, std::size_t limit = 128);

class Cursor {
 public:
  explicit Cursor(ByteSource& source) : source_(source) {}

  [[nodiscard]] std::uint64_t position() const { return position_; }
  [[nodiscard]] std::uint64_t remaining() const { return source_.size() - position_; }

  // The next `length` bytes; valid until the next call. Fails with corrupt where the file ends.
  Result<std::span<const std::byte>> take(std::uint64_t length) {
    const std::uint64_t ahead = position_ - block_start_;
    if (ahead <= block_.size() && length <= block_.size() - ahead) {
      position_ += length;
      return block_.subspan(ahead, length);
    }
    return take_from_source(length);
  }

  Result<void> skip(std::uint64_t length) {
    if (length > remaining()) return fail(end_of_file(length));
    position_ += length;
    return {};
  }

  template <class T>
  Result<T> number() {
    BERTH_TRY(const auto bytes, take(sizeof(T)));
    T value;
    std::memcpy(&value, bytes.data(), sizeof(T));
    return value;
  }

  // A length and that many bytes; the view is valid until the next call. Fails with corrupt above
  // `limit`.
  Result<std::string_view> text(std::uint64_t limit);
  Result<std::string> string(std::uint64_t limit);
  Result<void> skip_string();

 private:
  static constexpr std::uint64_t kBlock = 256 << 10;

  [[nodiscard]] Error end_of_file(std::uint64_t length) const;
  Result<std::span<const std::byte>> take_from_source(std::uint64_t length);

  ByteSource& source_;
  std::uint64_t position_ = 0;
  std::uint64_t block_start_ = 0;
  std::span<const std::byte> block_;
};

}  // namespace berth::formats
