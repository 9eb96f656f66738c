// Times as people write them. Pure.
#pragma once

#include "base/clock.h"
#include "base/result.h"

#include <string_view>

namespace berth {

// Reads "90s", "30m", "2h", "7d", or seconds alone. Fails with invalid_parameter.
Result<Duration> parse_duration(std::string_view text);

}  // namespace berth
