// Huawei Ascend's devices, through npu-smi, and their network addresses through hccn_tool.
#pragma once

#include "worker/devices/vendor.h"

#include <memory>
#include <string>
#include <string_view>

namespace berth::worker::devices {

// The tables of `npu-smi info`: chips, numbered as CANN numbers them, with HBM or without, and
// processes. Fails with corrupt where no chip can be read. Pure.
Result<Sample> parse_npu_smi(std::string_view text);
// The address in what `hccn_tool -i N -ip -g` prints; empty where there is none. Pure.
std::string parse_hccn_address(std::string_view text);

std::unique_ptr<Vendor> make_ascend();

}  // namespace berth::worker::devices
