// The devices of a worker as a cluster file writes them. Pure.
#pragma once

#include "base/json.h"
#include "base/result.h"
#include "model/worker.h"

#include <string_view>
#include <vector>

namespace berth::text {

// "4 x 24GiB cuda": how many, how large, of which kind.
struct DeviceGroup {
  std::uint32_t count = 1;
  Bytes memory;
  model::DeviceKind kind = model::DeviceKind::cuda;
};

// Reads "4 x 24GiB cuda"; without a number it is one device, without a kind a CUDA one. Fails with
// invalid_parameter.
Result<DeviceGroup> parse_device_group(std::string_view text);

// Reads such a text, or a list of such texts and of objects. A GPU that is cut into MIG instances
// is not among them itself. Fails with invalid_parameter; the field is the path in `value`.
Result<std::vector<model::Device>> devices_of(const json::value& value);

}  // namespace berth::text
