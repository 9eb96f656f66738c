#include "formats/cursor.h"

namespace berth::formats {
namespace {

// The length of the UTF-8 sequence at the front of `text`, 0 where it is none.
std::size_t sequence_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || length > text.size()) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0U) != 0x80) return 0;
  }
  const unsigned second = byte(1);
  if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F) ||
      (lead == 0xF0 && second < 0x90) || (lead == 0xF4 && second > 0x8F)) {
    return 0;
  }
  return length;
}

}  // namespace

std::string printable(std::string_view text, std::size_t limit) {
  std::string out;
  while (!text.empty()) {
    const std::size_t length = sequence_length(text);
    const auto first = static_cast<unsigned char>(text.front());
    const bool plain = length > 1 || (length == 1 && first >= 0x20 && first != 0x7F);
    const std::string_view piece = plain ? text.substr(0, length) : std::string_view("?");
    if (out.size() + piece.size() > limit) {
      out += "…";
      break;
    }
    out += piece;
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return out;
}

Error Cursor::end_of_file(std::uint64_t length) const {
  return make_error(ErrorCode::corrupt,
                    "{} bytes are wanted at byte {} but the file has {}: it is truncated or broken",
                    length, position_, source_.size());
}

Result<std::span<const std::byte>> Cursor::take_from_source(std::uint64_t length) {
  if (length > remaining()) return fail(end_of_file(length));
  const std::uint64_t fetch = std::min(remaining(), std::max(length, kBlock));
  block_ = {};
  block_start_ = position_;
  BERTH_TRY(block_, source_.read(position_, fetch));
  position_ += length;
  return block_.first(length);
}

Result<std::string_view> Cursor::text(std::uint64_t limit) {
  BERTH_TRY(const auto length, number<std::uint64_t>());
  if (length > remaining()) return fail(end_of_file(length));
  if (length > limit) {
    return fail(ErrorCode::corrupt, "a text of {} bytes is longer than the {} allowed", length,
                limit);
  }
  BERTH_TRY(const auto bytes, take(length));
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): bytes as characters
  return std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

Result<std::string> Cursor::string(std::uint64_t limit) {
  BERTH_TRY(const auto found, text(limit));
  return std::string(found);
}

Result<void> Cursor::skip_string() {
  BERTH_TRY(const auto length, number<std::uint64_t>());
  return skip(length);
}

}  // namespace berth::formats
