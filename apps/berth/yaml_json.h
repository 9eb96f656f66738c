// YAML as people write it, read into JSON values, so that described structs read both.
#pragma once

#include "base/json.h"
#include "base/result.h"

#include <filesystem>
#include <string>

namespace berth::app {

// Fails with not_found, io, or invalid_parameter naming file, line and column.
Result<json::value> read_yaml_file(const std::filesystem::path& path);

// A plain YAML scalar: true and false, null, numbers, else a text.
json::value scalar_to_json(const std::string& text);

}  // namespace berth::app
