#include "base/bytes.h"

#include <array>
#include <cctype>
#include <charconv>
#include <cmath>

namespace berth {
namespace {
constexpr std::array<std::string_view, 6> kUnits = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
}  // namespace

std::string to_string(Bytes bytes) {
  if (bytes.count < 1024) return fmt::format("{} B", bytes.count);
  double value = static_cast<double>(bytes.count);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

Result<Bytes> parse_bytes(std::string_view text) {
  const auto bad = [&] {
    return fail(ErrorCode::invalid_parameter,
                "\"{}\" is not an amount of memory; write it as 24GiB, 512MiB or a number of bytes",
                text);
  };
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || value < 0 || !std::isfinite(value)) return bad();
  std::string unit;
  for (const char* c = end; c != text.data() + text.size(); ++c) {
    if (*c != ' ') unit += static_cast<char>(std::tolower(static_cast<unsigned char>(*c)));
  }
  double factor = 1;
  if (!unit.empty() && unit != "b") {
    constexpr std::string_view prefixes = "kmgtp";
    const auto power = prefixes.find(unit[0]);
    const auto rest = std::string_view(unit).substr(1);
    if (power == std::string_view::npos || !(rest.empty() || rest == "b" || rest == "ib")) {
      return bad();
    }
    factor = std::pow(1024.0, static_cast<double>(power + 1));
  }
  if (value * factor >= 9.2e18) return bad();
  return Bytes{static_cast<std::uint64_t>(value * factor)};
}

}  // namespace berth
