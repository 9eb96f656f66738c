#include "backends/llama_box/visible_devices.h"

#include <algorithm>

namespace berth::backends::llama_box {
namespace {

using model::DeviceKind;

struct VisibleDevices {
  DeviceKind kind;
  std::string_view variable;
  std::string_view prefix;
  std::string_view none;  // hides all of them
};
constexpr VisibleDevices kVisible[] = {
    {DeviceKind::cuda, "CUDA_VISIBLE_DEVICES", "", "-1"},
    {DeviceKind::rocm, "HIP_VISIBLE_DEVICES", "", "-1"},
    {DeviceKind::vulkan, "GGML_VK_VISIBLE_DEVICES", "", ""},
    {DeviceKind::cann, "ASCEND_RT_VISIBLE_DEVICES", "", "-1"},
    {DeviceKind::musa, "MUSA_VISIBLE_DEVICES", "", "-1"},
    {DeviceKind::sycl, "ONEAPI_DEVICE_SELECTOR", "level_zero:", "opencl:cpu"},
};

const model::Device* find_device(const model::Worker& worker, std::string_view id) {
  for (const auto& device : worker.devices) {
    if (device.id == id) return &device;
  }
  return nullptr;
}

// A MIG instance has no index that CUDA would take, and beside one the GPUs' own may not be NVML's.
std::string visible_name(const model::Worker& worker, const model::Device& device) {
  const bool cut = std::any_of(worker.devices.begin(), worker.devices.end(), [&](const auto& one) {
    return one.kind == device.kind && !one.part_of.empty();
  });
  return cut && !device.uuid.empty() ? device.uuid : std::to_string(device.index);
}

}  // namespace

std::vector<model::EnvironmentVariable> device_variables(
    const model::Worker& worker, std::span<const model::DeviceClaim> claims) {
  std::vector<model::EnvironmentVariable> variables;
  for (const auto& row : kVisible) {
    std::vector<std::string> chosen;
    for (const auto& claim : claims) {
      const auto* device = find_device(worker, claim.device);
      if (device != nullptr && device->kind == row.kind) {
        chosen.push_back(visible_name(worker, *device));
      }
    }
    const bool present =
        std::any_of(worker.devices.begin(), worker.devices.end(),
                    [&](const model::Device& device) { return device.kind == row.kind; });
    if (!present) continue;
    variables.push_back({.name = std::string(row.variable),
                         .value = chosen.empty()
                                      ? std::string(row.none)
                                      : fmt::format("{}{}", row.prefix, fmt::join(chosen, ",")),
                         .owner = model::Owner::berth});
    if (row.kind == DeviceKind::cuda) {
      variables.push_back(
          {.name = "CUDA_DEVICE_ORDER", .value = "PCI_BUS_ID", .owner = model::Owner::berth});
    }
  }
  return variables;
}

}  // namespace berth::backends::llama_box
