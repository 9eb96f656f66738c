// Usage: the token counts of one request, as the engine tells them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace berth::gateway {

struct Usage {
  std::uint64_t prompt_tokens = 0;
  std::uint64_t completion_tokens = 0;

  Usage& operator+=(const Usage& other) {
    prompt_tokens += other.prompt_tokens;
    completion_tokens += other.completion_tokens;
    return *this;
  }
  friend bool operator==(const Usage&, const Usage&) = default;
};

// The "usage" member of a whole answer or of one event's data, where it has one. Pure.
std::optional<Usage> read_usage(std::string_view json);

}  // namespace berth::gateway
