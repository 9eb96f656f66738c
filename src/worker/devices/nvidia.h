// NVIDIA's devices, through NVML.
#pragma once

#include "worker/devices/vendor.h"

#include <memory>
#include <string>

namespace berth::worker::devices {

// `library` is opened at the first look, and again after a look that failed. A GPU in MIG mode is
// not in the sample: its instances are, as "cuda:0.1". One whose driver knows no memory of its own
// (it has the CPU's, as on a GB10) is `unified`.
std::unique_ptr<Vendor> make_nvidia(std::string library = "libnvidia-ml.so.1");

}  // namespace berth::worker::devices
