// The vendors that Berth knows.
#pragma once

#include "worker/devices/vendor.h"

#include <memory>
#include <vector>

namespace berth::worker::devices {

std::vector<std::unique_ptr<Vendor>> builtin_vendors();

// Those, and the devices of kind rpc that the worker's settings make of main memory.
std::vector<std::unique_ptr<Vendor>> all_vendors(const std::vector<Bytes>& rpc_devices);

}  // namespace berth::worker::devices
