// When an engine that failed is started again.
#pragma once

#include "base/clock.h"

#include <cstdint>

namespace berth::model {

// An engine that has served for so long counts its failures from 0 again.
inline constexpr std::chrono::minutes kHealthyWhile{2};

// Before the next attempt, after `failures` in a row: from half a second, doubled each time, to one
// minute.
[[nodiscard]] Duration restart_pause(std::uint32_t failures);

}  // namespace berth::model
