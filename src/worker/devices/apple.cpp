#include "worker/devices/apple.h"

#include "worker/devices/readings.h"
#include "worker/devices/tool.h"

namespace berth::worker::devices {
Result<Sample> parse_system_profiler(std::string_view text) {
  const auto document = parse_json(text);
  const auto* root = document ? document->if_object() : nullptr;
  const auto* list = root != nullptr ? root->if_contains("SPDisplaysDataType") : nullptr;
  if (list == nullptr || !list->is_array()) {
    return fail(make_error(ErrorCode::corrupt, "system_profiler has no SPDisplaysDataType"));
  }
  Sample sample;
  for (const auto& entry : list->get_array()) {
    const auto* gpu = entry.if_object();
    if (gpu == nullptr) continue;
    std::string metal = text_of(*gpu, "spdisplays_mtlgpufamilysupport");
    if (metal.empty()) metal = text_of(*gpu, "spdisplays_metalfamily");
    if (metal.empty()) continue;
    constexpr std::string_view kPrefix = "spdisplays_";
    if (metal.starts_with(kPrefix)) metal.erase(0, kPrefix.size());
    Reading reading{.device = {.kind = model::DeviceKind::metal,
                               .index = static_cast<std::uint32_t>(sample.devices.size())}};
    reading.device.name = text_of(*gpu, "sppci_model");
    if (reading.device.name.empty()) reading.device.name = text_of(*gpu, "_name");
    reading.device.capability = std::move(metal);
    reading.device.unified = true;
    sample.devices.push_back(believe(std::move(reading), sample.warnings));
  }
  return sample;
}

std::unique_ptr<Vendor> make_apple() {
  return make_tool_vendor({.name = "Apple",
                           .kind = model::DeviceKind::metal,
                           .argv = {"system_profiler", "SPDisplaysDataType", "-json"},
                           .parse = parse_system_profiler});
}

}  // namespace berth::worker::devices
