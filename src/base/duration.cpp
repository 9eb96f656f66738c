#include "base/duration.h"

#include <charconv>

namespace berth {

Result<Duration> parse_duration(std::string_view text) {
  std::int64_t count = 0;
  const auto* last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, count);
  const std::string_view unit(end, static_cast<std::size_t>(last - end));
  std::int64_t factor = 0;
  if (unit.empty() || unit == "s") factor = 1;
  if (unit == "m") factor = 60;
  if (unit == "h") factor = 3600;
  if (unit == "d") factor = 86'400;
  constexpr std::int64_t kMost = 1'000'000;
  if (error != std::errc{} || factor == 0 || count < 0 || count > kMost) {
    return fail(ErrorCode::invalid_parameter,
                "must be a time such as 90s, 30m, 2h or 7d (got \"{}\")", text);
  }
  return Duration(std::chrono::seconds(count * factor));
}

}  // namespace berth
