// From when on a log is wanted: what people write after --since. Pure.
#pragma once

#include "base/clock.h"
#include "base/result.h"

#include <optional>
#include <string_view>

namespace berth::worker {

// "90s", "10m", "1h30m", "2d" before `now`, or a time as RFC 3339 has it. Fails with
// invalid_parameter and field "since".
Result<SystemTime> parse_since(std::string_view text, SystemTime now);

// The time that a text begins with: "2026-11-22T10:15:30.123Z", "2026-11-22T10:15:30+01:00".
// Nothing where it begins otherwise.
std::optional<SystemTime> leading_time(std::string_view text);

}  // namespace berth::worker
