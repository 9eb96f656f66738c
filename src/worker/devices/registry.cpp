#include "worker/devices/registry.h"

#include "worker/devices/amd.h"
#include "worker/devices/apple.h"
#include "worker/devices/ascend.h"
#include "worker/devices/cambricon.h"
#include "worker/devices/hygon.h"
#include "worker/devices/iluvatar.h"
#include "worker/devices/intel.h"
#include "worker/devices/moore_threads.h"
#include "worker/devices/nvidia.h"
#include "worker/devices/rpc_devices.h"

namespace berth::worker::devices {

std::vector<std::unique_ptr<Vendor>> builtin_vendors() {
  std::vector<std::unique_ptr<Vendor>> vendors;
  vendors.push_back(make_nvidia());
  for (const auto make : {make_amd, make_ascend, make_intel, make_hygon, make_iluvatar,
                          make_cambricon, make_moore_threads, make_apple}) {
    vendors.push_back(make());
  }
  return vendors;
}

std::vector<std::unique_ptr<Vendor>> all_vendors(const std::vector<Bytes>& rpc_devices) {
  auto vendors = builtin_vendors();
  if (!rpc_devices.empty()) vendors.push_back(make_rpc_devices(rpc_devices));
  return vendors;
}

}  // namespace berth::worker::devices
