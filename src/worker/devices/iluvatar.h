// Iluvatar's devices, through ixsmi.
#pragma once

#include "worker/devices/vendor.h"

#include <memory>
#include <string_view>

namespace berth::worker::devices {

// The table of `ixsmi`. Fails with corrupt where no device can be read. Pure.
Result<Sample> parse_ixsmi(std::string_view text);

std::unique_ptr<Vendor> make_iluvatar();

}  // namespace berth::worker::devices
