#include "worker/devices/cambricon.h"

#include "worker/devices/readings.h"
#include "worker/devices/tool.h"

#include <optional>
#include <utility>

namespace berth::worker::devices {
namespace {

// "| 0     /   MLU370-X8    v1.1.6 |         0000:39:00.0 | 0%                N/A |"
std::optional<Reading> read_first_row(const std::vector<std::string_view>& cells,
                                      std::vector<std::string>& warnings) {
  if (cells.size() != 3) return std::nullopt;
  const auto words = words_of(cells[0]);
  const auto use = words_of(cells[2]);
  if (words.size() != 4 || words[1] != "/" || use.empty()) return std::nullopt;
  const auto index = read_index(words[0]);
  if (!index) return std::nullopt;
  Reading reading{.device = {.kind = model::DeviceKind::mlu, .index = *index}};
  reading.device.name = fmt::format("Cambricon {}", words[2]);
  reading.device.address = pci_address(cells[1]);
  reading.utilisation = read_figure(use[0], fmt::format("mlu:{}", *index), warnings);
  return reading;
}

// "|  0%   32C        106 W/ 250 W |     0 MiB/ 23374 MiB | N/A           Default |"
bool add_second_row(const std::vector<std::string_view>& cells, Reading& reading,
                    std::vector<std::string>& warnings) {
  if (cells.size() != 3) return false;
  const auto words = words_of(cells[0]);
  if (words.size() < 3 || cells[1].find('/') == std::string_view::npos) return false;
  const std::string what = fmt::format("mlu:{}", reading.device.index);
  reading.temperature = read_figure(words[1], what, warnings);
  reading.power = read_figure(words[2], what, warnings);
  const auto memory = read_memory_pair(cells[1], what, warnings);
  reading.used = memory.used;
  reading.memory = memory.memory;
  return true;
}

}  // namespace

Result<Sample> parse_cnmon(std::string_view text) {
  Sample sample;
  auto driver = word_after(text, "Driver v");
  std::optional<Reading> open;
  for (const auto line : lines_of(text)) {
    const auto cells = cells_of(line);
    if (open && add_second_row(cells, *open, sample.warnings)) {
      open->device.driver = driver;
      sample.devices.push_back(believe(*std::exchange(open, std::nullopt), sample.warnings));
    } else {
      open = read_first_row(cells, sample.warnings);
    }
  }
  if (sample.devices.empty()) return fail(ErrorCode::corrupt, "cnmon names no device");
  return sample;
}

std::unique_ptr<Vendor> make_cambricon() {
  return make_tool_vendor({.name = "Cambricon",
                           .kind = model::DeviceKind::mlu,
                           .argv = {"cnmon"},
                           .parse = parse_cnmon});
}

}  // namespace berth::worker::devices
