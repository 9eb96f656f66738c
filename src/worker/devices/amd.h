// AMD's devices, through rocm-smi.
#pragma once

#include "worker/devices/vendor.h"

#include <memory>
#include <string_view>

namespace berth::worker::devices {

// What `rocm-smi --json` prints of products, memory, use, temperature, power and addresses. Fails
// with corrupt where no card can be read. Pure.
Result<Sample> parse_rocm_smi(std::string_view text);

std::unique_ptr<Vendor> make_amd();

}  // namespace berth::worker::devices
