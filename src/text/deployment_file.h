// Deployments in files: YAML documents (or JSON), one a model; and a deployment as such a file.
// Pure; thread-safe.
#pragma once

#include "model/deployment.h"

#include <string>
#include <string_view>
#include <vector>

namespace berth::text {

// Every deployment of `content`: YAML documents separated by "---" (empty ones are passed over), or
// JSON: one object, or an array of them. `source` stays as it is written. All are checked as far as
// that goes without looking at files. Fails with invalid_parameter, naming `file`, line and field:
// broken YAML or JSON, a field that there is not, an impossible value, two deployments of one name,
// or none at all.
Result<std::vector<model::Deployment>> read_deployments(std::string_view content,
                                                        std::string_view file);

// The deployment as a person would write it: what has its default is left out. Read back, it is the
// same deployment.
json::object to_written(const model::Deployment& deployment);

// `to_written` as a YAML document.
std::string to_yaml(const model::Deployment& deployment);

}  // namespace berth::text
