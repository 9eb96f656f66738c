#include "process/memory_kills.h"
#include "process/platform/process_info.h"

#include <charconv>
#include <string_view>

namespace berth::process {

// The line "oom_kill 3" (Linux 4.13 and later).
std::optional<std::uint64_t> memory_kills(const char* statistics) {
  constexpr std::string_view kName = "oom_kill ";
  const auto text = platform::read_small_file(statistics);
  if (!text) return std::nullopt;
  std::string_view rest(*text);
  while (!rest.starts_with(kName)) {
    const auto end = rest.find('\n');
    if (end == rest.npos) return std::nullopt;
    rest.remove_prefix(end + 1);
  }
  rest.remove_prefix(kName.size());
  std::uint64_t kills = 0;
  const auto [stop, error] = std::from_chars(rest.data(), rest.data() + rest.size(), kills);
  if (error != std::errc{}) return std::nullopt;
  return kills;
}

}  // namespace berth::process
