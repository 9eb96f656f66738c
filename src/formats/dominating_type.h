// Which type most of a model's weights are of. Internal to formats.
#pragma once

#include <algorithm>
#include <string>

namespace berth::formats {

// The name of the type with the most bytes, from a map of names to bytes; empty where it is empty.
template <class BytesByType>
std::string dominating_type(const BytesByType& bytes) {
  const auto most = std::ranges::max_element(bytes, {}, [](const auto& e) { return e.second; });
  return most == bytes.end() ? std::string() : std::string(most->first);
}

}  // namespace berth::formats
