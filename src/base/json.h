// JSON values (Boost.JSON): parsing with limits and printing. For described structs see describe.h.
#pragma once

#include "base/result.h"

#include <string>
#include <string_view>

#include <boost/json.hpp>

namespace berth {

namespace json = boost::json;

// Parses one JSON text (depth at most 64, UTF-8). Fails with invalid_request and the byte offset.
// A key that an object names twice fails too: readers disagree on which of them counts.
Result<json::value> parse_json(std::string_view text);

// Compact, on one line.
std::string to_text(const json::value& value);
// Indented by two spaces, for people.
std::string to_pretty_text(const json::value& value);

}  // namespace berth
