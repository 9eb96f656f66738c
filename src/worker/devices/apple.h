// Apple's devices, which share the machine's memory, through system_profiler.
#pragma once

#include "worker/devices/vendor.h"

#include <memory>
#include <string_view>

namespace berth::worker::devices {

// What `system_profiler SPDisplaysDataType -json` prints; GPUs without Metal are passed over. Fails
// with corrupt where it is not that. Pure.
Result<Sample> parse_system_profiler(std::string_view text);

std::unique_ptr<Vendor> make_apple();

}  // namespace berth::worker::devices
