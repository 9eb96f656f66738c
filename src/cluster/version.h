// Which versions of Berth work together in one cluster.
#pragma once

#include "base/result.h"

#include <string_view>

namespace berth::cluster {

// A worker may be one minor version older or newer than its server ("1.4.x" with "1.3.y" to
// "1.5.z"). Fails with conflict, saying which of the two to upgrade; invalid_parameter where a text
// is no version.
Result<void> check_versions(std::string_view server, std::string_view worker);

}  // namespace berth::cluster
