// Hygon's devices (DCU), through hy-smi, a relative of rocm-smi.
#pragma once

#include "worker/devices/vendor.h"

#include <memory>
#include <string_view>

namespace berth::worker::devices {

// What `hy-smi --json` prints, which lacks commas. Fails with corrupt where no card can be read.
// Pure.
Result<Sample> parse_hy_smi(std::string_view text);

std::unique_ptr<Vendor> make_hygon();

}  // namespace berth::worker::devices
