// YAML as people write it, read into JSON values, so that described structs read both; and back.
// Thread-safe.
#pragma once

#include "base/json.h"
#include "base/result.h"

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace berth::text {

// One document of a YAML text.
struct YamlDocument {
  json::value value;
  // The line of each member, from 1, by its path as errors name it: "env.NAME", "parameters[2]".
  std::map<std::string, int, std::less<>> lines;
  int line = 1;  // where it begins

  // The line of `path`, or of what it lies in.
  [[nodiscard]] int line_of(std::string_view path) const;
};

// Every document of `text`, empty ones included (null). Plain scalars are read as in JSON: true,
// false, null, numbers; everything else is a text, so that "yes" and "0x10" are. Fails with
// invalid_parameter, naming line and column: broken YAML, a key that is there twice or is no text,
// an unknown tag, not UTF-8, too deep or (with aliases) too large.
Result<std::vector<YamlDocument>> parse_yaml(std::string_view text);

// The only document of a file; null where it is empty. Fails with not_found, io, too_large, or as
// parse_yaml, naming the file.
Result<json::value> read_yaml_file(const std::filesystem::path& path);

// A plain YAML scalar: true and false, null, numbers, else a text.
json::value scalar_to_json(const std::string& text);

// `value` as a YAML document, in block style. Texts that any reader of YAML could take for
// something else are quoted; what has several lines stands as a block where that keeps it exactly.
// parse_yaml gives the same value back.
std::string to_yaml(const json::value& value);

}  // namespace berth::text
