// Cambricon's devices (MLU), through cnmon.
#pragma once

#include "worker/devices/vendor.h"

#include <memory>
#include <string_view>

namespace berth::worker::devices {

// The table of `cnmon`. Fails with corrupt where no device can be read. Pure.
Result<Sample> parse_cnmon(std::string_view text);

std::unique_ptr<Vendor> make_cambricon();

}  // namespace berth::worker::devices
