// Moore Threads' devices, through mthreads-gmi.
#pragma once

#include "worker/devices/vendor.h"

#include <memory>
#include <string_view>

namespace berth::worker::devices {

// The table of `mthreads-gmi`. Fails with corrupt where no device can be read. Pure.
Result<Sample> parse_mthreads_gmi(std::string_view text);

std::unique_ptr<Vendor> make_moore_threads();

}  // namespace berth::worker::devices
