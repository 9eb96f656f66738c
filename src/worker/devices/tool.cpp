#include "worker/devices/tool.h"

#include "process/spawn.h"
#include "worker/devices/readings.h"

#include <algorithm>

namespace berth::worker::devices {
namespace {

constexpr std::chrono::seconds kToolTime{10};
constexpr Bytes kToolOutput = 1_MiB;
constexpr std::size_t kShown = 200;

std::string first_words(std::string_view text) {
  text = trimmed(text);
  if (text.empty()) return "it said nothing";
  return std::string(text.substr(0, std::min(text.find('\n'), kShown)));
}

class ByTool : public Vendor {
 public:
  explicit ByTool(ToolVendor tool) : tool_(std::move(tool)) {}

  [[nodiscard]] std::string_view name() const override { return tool_.name; }
  [[nodiscard]] model::DeviceKind kind() const override { return tool_.kind; }
  Result<Sample> look() override {
    BERTH_TRY(const auto text, run_tool(tool_.argv));
    return tool_.parse(text);
  }

 private:
  const ToolVendor tool_;
};

}  // namespace

Result<std::string> run_tool(const std::vector<std::string>& argv) {
  process::SpawnOptions options{.argv = argv, .environment = {}, .working_directory = "/"};
  options.end_with_us = true;
  BERTH_TRY(auto output, process::run(std::move(options),
                                      {.timeout = kToolTime, .output = kToolOutput, .stop = {}}));
  if (!output.ok()) {
    const auto& said =
        output.standard_error.empty() ? output.standard_output : output.standard_error;
    return fail(ErrorCode::unavailable, "{} ended with {} {}: {}", argv.front(),
                output.signal != 0 ? "signal" : "exit code",
                output.signal != 0 ? output.signal : output.exit_code, first_words(said));
  }
  if (output.truncated) {
    return fail(ErrorCode::corrupt, "{} printed more than {}", argv.front(), kToolOutput);
  }
  return std::move(output.standard_output);
}

std::unique_ptr<Vendor> make_tool_vendor(ToolVendor tool) {
  return std::make_unique<ByTool>(std::move(tool));
}

}  // namespace berth::worker::devices
