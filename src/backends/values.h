// Reading single values out of parsed parameters.
#pragma once

#include "backends/backend.h"

#include <algorithm>
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

// The context of one request where the user names none: all of the model's, at most 8192 tokens.
inline std::uint32_t usual_context(const model::ModelProfile& profile) {
  constexpr std::uint32_t kUsual = 8192;
  return profile.context_length == 0 ? kUsual : std::min(profile.context_length, kUsual);
}

// The devices of a request, in order.
inline std::vector<std::string> devices_of(const EstimateRequest& request) {
  std::vector<std::string> devices;
  devices.reserve(request.devices.size());
  for (const auto& share : request.devices) devices.push_back(share.device);
  return devices;
}

}  // namespace berth::backends
