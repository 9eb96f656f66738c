// Reading single values out of parsed parameters.
#pragma once

#include "backends/backend.h"

#include <charconv>

namespace berth::backends {

// The whole number given for `flag`; nothing where it is absent or a word such as "auto".
inline std::optional<std::uint32_t> number_of(const ParsedParameters& parameters,
                                              std::string_view flag) {
  const auto* given = parameters.find(flag);
  if (given == nullptr || !given->value) return std::nullopt;
  std::uint32_t value = 0;
  const auto* end = given->value->data() + given->value->size();
  const auto [stop, error] = std::from_chars(given->value->data(), end, value);
  if (error != std::errc{} || stop != end) return std::nullopt;
  return value;
}

inline std::string text_of(const ParsedParameters& parameters, std::string_view flag,
                           std::string fallback) {
  const auto* given = parameters.find(flag);
  if (given == nullptr || !given->value) return fallback;
  return *given->value;
}

inline bool has(const ParsedParameters& parameters, std::string_view flag) {
  return parameters.find(flag) != nullptr;
}

}  // namespace berth::backends
