#include "worker/devices/iluvatar.h"

#include "worker/devices/readings.h"
#include "worker/devices/tool.h"

#include <optional>
#include <utility>

namespace berth::worker::devices {
namespace {

// "| 0    Iluvatar BI-V150 | 00000000:10:00.0 | 1500MHz   1600MHz |"
std::optional<Reading> read_first_row(const std::vector<std::string_view>& cells) {
  if (cells.size() != 3) return std::nullopt;
  const auto words = words_of(cells[0]);
  const auto index = words.size() < 2 ? std::nullopt : read_index(words[0]);
  const auto address = pci_address(cells[1]);
  if (!index || address.empty()) return std::nullopt;
  Reading reading{.device = {.kind = model::DeviceKind::corex, .index = *index}};
  reading.device.name = trimmed(cells[0].substr(words[0].size()));
  reading.device.address = address;
  return reading;
}

// "| N/A  39C   P0    104W / 350W  | 64MiB / 32768MiB     | 0%        Default    |"
bool add_second_row(const std::vector<std::string_view>& cells, Reading& reading,
                    std::vector<std::string>& warnings) {
  if (cells.size() != 3) return false;
  const auto words = words_of(cells[0]);
  const auto use = words_of(cells[2]);
  if (words.size() < 4 || use.empty()) return false;
  const std::string what = fmt::format("corex:{}", reading.device.index);
  reading.temperature = read_figure(words[1], what, warnings);
  reading.power = read_figure(words[3], what, warnings);
  reading.utilisation = read_figure(use[0], what, warnings);
  const auto memory = read_memory_pair(cells[1], what, warnings);
  reading.used = memory.used;
  reading.memory = memory.memory;
  return true;
}

}  // namespace

Result<Sample> parse_ixsmi(std::string_view text) {
  Sample sample;
  const std::string driver(word_after(text, "Driver Version:"));
  std::optional<Reading> open;
  for (const auto line : lines_of(text)) {
    const auto cells = cells_of(line);
    if (open && add_second_row(cells, *open, sample.warnings)) {
      open->device.driver = driver;
      sample.devices.push_back(believe(*std::exchange(open, std::nullopt), sample.warnings));
    } else {
      open = read_first_row(cells);
    }
  }
  if (sample.devices.empty()) return fail(ErrorCode::corrupt, "ixsmi names no device");
  return sample;
}

std::unique_ptr<Vendor> make_iluvatar() {
  return make_tool_vendor({.name = "Iluvatar",
                           .kind = model::DeviceKind::corex,
                           .argv = {"ixsmi"},
                           .parse = parse_ixsmi});
}

}  // namespace berth::worker::devices
