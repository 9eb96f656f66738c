// Intel's devices, through xpu-smi.
#pragma once

#include "worker/devices/vendor.h"

#include <memory>
#include <string_view>

namespace berth::worker::devices {

// What `xpu-smi discovery -j` prints, of all devices or of one, or the table of `xpu-smi` 2. Fails
// with corrupt where no device can be read. Pure.
Result<Sample> parse_xpu_smi(std::string_view text);

std::unique_ptr<Vendor> make_intel();

}  // namespace berth::worker::devices
