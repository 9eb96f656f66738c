// Documents in files, YAML or JSON, and where in a file an error is. Pure; thread-safe.
#pragma once

#include "text/yaml.h"

#include <string_view>
#include <vector>

namespace berth::text {

// Every document of a YAML text, or the one of a JSON text, which has no lines then. Fails as
// parse_yaml.
Result<std::vector<YamlDocument>> parse_documents(std::string_view content);

// The only document of `file`; null where it is empty. Fails with invalid_parameter, naming the
// file.
Result<YamlDocument> parse_only(std::string_view content, std::string_view file);

// "FILE, line 3, workers[0].memory: …": with the line of the error's field, which is a path in
// `document`.
Error at_line(Error error, const YamlDocument& document, std::string_view file);

}  // namespace berth::text
