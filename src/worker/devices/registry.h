// The vendors that Berth knows.
#pragma once

#include "worker/devices/vendor.h"

#include <memory>
#include <vector>

namespace berth::worker::devices {

std::vector<std::unique_ptr<Vendor>> builtin_vendors();

}  // namespace berth::worker::devices
