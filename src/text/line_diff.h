// What differs between two texts, line by line. Pure; thread-safe.
#pragma once

#include <string>
#include <string_view>

namespace berth::text {

// The differences in the unified form of diff(1), three lines of context around each, under
// "--- before_name" and "+++ after_name"; empty where there are none. Very long texts that differ
// all over are told as one replacement.
std::string unified_diff(std::string_view before, std::string_view after,
                         std::string_view before_name, std::string_view after_name);

}  // namespace berth::text
