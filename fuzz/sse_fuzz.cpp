// An event stream in two cuts gives the same events, and what is written is read back.
#include "net/sse.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace {

using Events = std::vector<berth::net::SseEvent>;

std::optional<Events> read(std::string_view bytes, std::size_t piece) {
  berth::net::SseParser parser(berth::Bytes{1024});
  Events events;
  for (; !bytes.empty(); bytes.remove_prefix(std::min(piece, bytes.size()))) {
    const auto found = parser.feed(bytes.substr(0, piece));
    if (!found) return std::nullopt;
    events.insert(events.end(), found->begin(), found->end());
  }
  return events;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  const auto events = read(bytes, bytes.size() + 1);
  if (events != read(bytes, 1 + data[0])) std::abort();
  if (!events) return 0;
  std::string text = berth::net::sse_comment("again");
  for (const auto& event : *events) text += berth::net::sse_event(event);
  if (read(text, 7) != events) std::abort();
  return 0;
}
