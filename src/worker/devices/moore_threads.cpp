#include "worker/devices/moore_threads.h"

#include "worker/devices/readings.h"
#include "worker/devices/tool.h"

#include <optional>
#include <utility>

namespace berth::worker::devices {
namespace {

constexpr double kMebibyte = 1024 * 1024;

// "a |b |c", which has no bars at its ends.
std::vector<std::string_view> columns_of(std::string_view line) {
  std::vector<std::string_view> columns;
  for (std::size_t start = 0; start <= line.size();) {
    const auto end = std::min(line.find('|', start), line.size());
    columns.push_back(trimmed(line.substr(start, end - start)));
    start = end + 1;
  }
  return columns;
}

// "0    MTT S5000            |00000000:2a:00.0    |0%    66641MiB(81920MiB)"
std::optional<Reading> read_first_row(const std::vector<std::string_view>& columns,
                                      std::vector<std::string>& warnings) {
  if (columns.size() != 3) return std::nullopt;
  const auto words = words_of(columns[0]);
  const auto use = words_of(columns[2]);
  const auto index = words.size() < 2 ? std::nullopt : read_index(words[0]);
  const auto address = pci_address(columns[1]);
  if (!index || address.empty() || use.size() != 2) return std::nullopt;
  Reading reading{.device = {.kind = model::DeviceKind::musa, .index = *index}};
  reading.device.name = trimmed(columns[0].substr(words[0].size()));
  reading.device.address = address;
  const std::string what = fmt::format("musa:{}", *index);
  reading.utilisation = read_figure(use[0], what, warnings);
  const auto bracket = use[1].find('(');
  if (bracket != std::string_view::npos && use[1].ends_with("MiB)")) {
    reading.used = read_figure(use[1].substr(0, bracket), what, warnings);
    reading.memory = read_figure(use[1].substr(bracket + 1), what, warnings);
    for (auto* figure : {&reading.used, &reading.memory}) {
      if (*figure) **figure *= kMebibyte;
    }
  }
  return reading;
}

}  // namespace

Result<Sample> parse_mthreads_gmi(std::string_view text) {
  Sample sample;
  const std::string driver(word_after(text, "Driver Version:"));
  std::optional<Reading> open;
  for (const auto line : lines_of(text)) {
    const auto columns = columns_of(line);
    if (open && columns.size() == 3) {  // "     Physical      P0     |16x(16x)   |52C   YES"
      const auto words = words_of(columns[2]);
      open->device.driver = driver;
      if (!words.empty()) {
        open->temperature =
            read_figure(words[0], fmt::format("musa:{}", open->device.index), sample.warnings);
      }
      sample.devices.push_back(believe(*std::exchange(open, std::nullopt), sample.warnings));
    } else {
      open = read_first_row(columns, sample.warnings);
    }
  }
  if (sample.devices.empty()) return fail(ErrorCode::corrupt, "mthreads-gmi names no device");
  return sample;
}

std::unique_ptr<Vendor> make_moore_threads() {
  return make_tool_vendor({.name = "Moore Threads",
                           .kind = model::DeviceKind::musa,
                           .argv = {"mthreads-gmi"},
                           .parse = parse_mthreads_gmi});
}

}  // namespace berth::worker::devices
