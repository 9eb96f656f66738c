// Vendors whose devices are known through a command-line tool.
#pragma once

#include "worker/devices/vendor.h"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace berth::worker::devices {

// What the tool prints. It may take ten seconds and print a MiB, and is killed then. Fails with
// not_found where the tool is not here. Blocking; thread-safe.
Result<std::string> run_tool(const std::vector<std::string>& argv);

// From a tool's text to values; fails with corrupt where there is nothing to be made of it. Pure.
using ParseTool = Result<Sample> (*)(std::string_view text);

struct ToolVendor {
  std::string_view name;
  model::DeviceKind kind = model::DeviceKind::cpu;
  std::vector<std::string> argv;  // looked up on PATH, as every program
  ParseTool parse = nullptr;
};

// A vendor that one run of one tool tells everything of.
std::unique_ptr<Vendor> make_tool_vendor(ToolVendor tool);

}  // namespace berth::worker::devices
