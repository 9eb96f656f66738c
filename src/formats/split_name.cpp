#include "formats/split_name.h"

namespace berth::formats {
namespace {

std::optional<std::uint32_t> five_digits(std::string_view text) {
  std::uint32_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<std::uint32_t>(c - '0');
  }
  return value;
}

}  // namespace

std::optional<SplitName> parse_split_name(std::string_view name) {
  constexpr std::string_view kTail = "-00001-of-00001.gguf";
  if (name.size() <= kTail.size() || !name.ends_with(".gguf")) return std::nullopt;
  const std::string_view tail = name.substr(name.size() - kTail.size());
  const auto number = five_digits(tail.substr(1, 5));
  const auto count = five_digits(tail.substr(10, 5));
  if (tail[0] != '-' || tail.substr(6, 4) != "-of-" || !number || !count) return std::nullopt;
  if (*number == 0 || *number > *count) return std::nullopt;
  return SplitName{.stem = std::string(name.substr(0, name.size() - kTail.size())),
                   .number = *number,
                   .count = *count};
}

}  // namespace berth::formats
