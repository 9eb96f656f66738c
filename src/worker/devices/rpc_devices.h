// Devices of kind rpc: parts of the main memory that stand for GPUs. The CPU computes for them, in
// an engine's server process, so that layers can be on several workers without a GPU.
#pragma once

#include "worker/devices/vendor.h"

#include <memory>
#include <vector>

namespace berth::worker::devices {

// "rpc:0", "rpc:1" … of so much memory each.
std::unique_ptr<Vendor> make_rpc_devices(const std::vector<Bytes>& memories);

}  // namespace berth::worker::devices
