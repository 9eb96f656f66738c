// Whatever a vendor's tool prints, what is made of it can be: no device has more used than there
// is, none is measured without memory, and no text of it could steer a terminal.
#include "worker/devices/amd.h"
#include "worker/devices/apple.h"
#include "worker/devices/ascend.h"
#include "worker/devices/cambricon.h"
#include "worker/devices/hygon.h"
#include "worker/devices/iluvatar.h"
#include "worker/devices/intel.h"
#include "worker/devices/moore_threads.h"
#include "worker/devices/tool.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <set>
#include <string>
#include <string_view>

namespace {

namespace devices = berth::worker::devices;

constexpr devices::ParseTool kParsers[] = {
    devices::parse_rocm_smi, devices::parse_hy_smi,          devices::parse_npu_smi,
    devices::parse_ixsmi,    devices::parse_cnmon,           devices::parse_mthreads_gmi,
    devices::parse_xpu_smi,  devices::parse_system_profiler,
};

bool is_plain(const std::string& text) {
  return text.size() <= 128 && std::all_of(text.begin(), text.end(),
                                           [](unsigned char c) { return c >= 0x20 && c < 0x7F; });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
  if (!is_plain(devices::parse_hccn_address(text).substr(0, 128))) std::abort();
  const auto sample = kParsers[data[0] % std::size(kParsers)](text);
  if (!sample) return 0;
  std::set<std::string> ids;
  for (const auto& device : sample->devices) {
    ids.insert(device.id);
    if (device.used > device.memory) std::abort();
    if (device.measured && device.memory.count == 0) std::abort();
    for (const auto* words : {&device.name, &device.uuid, &device.address, &device.driver}) {
      if (!is_plain(*words)) std::abort();
    }
  }
  for (const auto& use : sample->processes) {
    if (!ids.contains(use.device)) std::abort();
  }
  return 0;
}
