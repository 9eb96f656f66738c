// JSON schemas of what people write in files: for editors, and for checks before anything is sent.
// Pure.
#pragma once

#include "base/json.h"

namespace berth::server {

json::object deployment_schema();  // of a deployment, as `berth apply` reads it
json::object settings_schema();    // of berth.yaml

}  // namespace berth::server
