#include "worker/devices/readings.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>

#include <fmt/format.h>

namespace berth::worker::devices {
namespace {

constexpr double kMostMemory = 16.0 * 1024 * 1024 * 1024 * 1024;  // 16 TiB
constexpr std::size_t kLongestText = 128;

struct Bounds {
  std::string_view what;
  std::string_view unit;
  double least;
  double most;
};
constexpr Bounds kTemperature{"a temperature", "degrees", -50, 150};
constexpr Bounds kUtilisation{"a utilisation", "%", 0, 100};
constexpr Bounds kPower{"a power", "W", 0, 5000};

// Names come from elsewhere and go into lists, labels and messages.
void tidy(std::string& text) {
  std::erase_if(text, [](unsigned char c) { return c < 0x20 || c >= 0x7F; });
  if (text.size() > kLongestText) text.resize(kLongestText);
}

std::string called(const model::Device& device) {
  return device.name.empty() ? device.id : fmt::format("{} ({})", device.id, device.name);
}

std::optional<double> within(std::optional<double> value, const Bounds& bounds,
                             const model::Device& device, std::vector<std::string>& warnings) {
  if (!value) return std::nullopt;
  if (*value >= bounds.least && *value <= bounds.most) return value;
  warnings.push_back(fmt::format("{}: {} of {} {} can not be; it is left out", called(device),
                                 bounds.what, *value, bounds.unit));
  return std::nullopt;
}

}  // namespace

std::optional<Bytes> believe_memory(double bytes) {
  if (!(bytes >= 0 && bytes <= kMostMemory)) return std::nullopt;  // nor is NaN
  return Bytes{static_cast<std::uint64_t>(bytes)};
}

model::Device believe(Reading reading, std::vector<std::string>& warnings) {
  model::Device device = std::move(reading.device);
  if (device.id.empty()) device.id = fmt::format("{}:{}", enum_name(device.kind), device.index);
  for (auto* text : {&device.name, &device.uuid, &device.address, &device.network_address,
                     &device.driver, &device.runtime, &device.capability}) {
    tidy(*text);
  }
  device.measured = false;
  if (reading.memory) {
    const auto memory = believe_memory(*reading.memory);
    if (memory && memory->count != 0) {
      device.memory = *memory;
    } else {
      warnings.push_back(fmt::format("{}: a memory of {} bytes can not be; nothing is placed on it",
                                     called(device), *reading.memory));
    }
  }
  if (reading.used && device.memory.count != 0) {
    const auto used = believe_memory(*reading.used);
    device.measured = used && *used <= device.memory;
    if (device.measured) {
      device.used = *used;
    } else {
      warnings.push_back(
          fmt::format("{}: {} bytes used of {} can not be; nothing new is placed on it",
                      called(device), *reading.used, device.memory.count));
    }
  }
  if (const auto value = within(reading.utilisation, kUtilisation, device, warnings)) {
    device.utilisation = static_cast<std::uint32_t>(std::lround(*value));
  }
  if (const auto value = within(reading.temperature, kTemperature, device, warnings)) {
    device.temperature = static_cast<std::int32_t>(std::lround(*value));
  }
  device.power = within(reading.power, kPower, device, warnings);
  return device;
}

std::optional<double> read_figure(std::string_view text, std::string_view what,
                                  std::vector<std::string>& warnings) {
  constexpr std::array<std::string_view, 8> kNone = {"",    "-",     "N/A",           "NA",
                                                     "n/a", "[N/A]", "Not Supported", "None"};
  text = trimmed(text);
  if (std::find(kNone.begin(), kNone.end(), text) != kNone.end()) return std::nullopt;
  double value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (error == std::errc{} && std::isfinite(value)) return value;
  std::string shown(text.substr(0, kLongestText / 2));
  tidy(shown);
  warnings.push_back(fmt::format("{}: \"{}\" is no number; it is left out", what, shown));
  return std::nullopt;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const auto first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  for (text = trimmed(text); !text.empty(); text = trimmed(text)) {
    const auto end = std::min(text.find_first_of(" \t\r\n"), text.size());
    words.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return words;
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  for (auto end = text.find('\n'); end != std::string_view::npos; end = text.find('\n')) {
    lines.push_back(text.substr(0, end));
    text.remove_prefix(end + 1);
  }
  return lines;
}

std::vector<std::string_view> cells_of(std::string_view line) {
  line = trimmed(line);
  if (line.size() < 2 || !line.starts_with('|') || !line.ends_with('|')) return {};
  line.remove_prefix(1);
  std::vector<std::string_view> cells;
  while (!line.empty()) {
    const auto end = line.find('|');
    cells.push_back(trimmed(line.substr(0, end)));
    line.remove_prefix(end + 1);  // the last character is a bar
  }
  return cells;
}

MemoryPair read_memory_pair(std::string_view text, std::string_view what,
                            std::vector<std::string>& warnings) {
  constexpr double kMebibyte = 1024 * 1024;
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) return {};
  MemoryPair pair{.used = read_figure(text.substr(0, slash), what, warnings),
                  .memory = read_figure(text.substr(slash + 1), what, warnings)};
  for (auto* figure : {&pair.used, &pair.memory}) {
    if (*figure) **figure *= kMebibyte;
  }
  return pair;
}

std::string_view word_after(std::string_view text, std::string_view label) {
  const auto at = text.find(label);
  if (at == std::string_view::npos) return {};
  const auto words = words_of(text.substr(at + label.size(), kLongestText));
  return words.empty() ? std::string_view() : words.front();
}

std::string text_of(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

std::optional<std::uint32_t> read_index(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string pci_address(std::string_view text) {
  constexpr std::size_t kLength = 12;  // "0000:2a:00.0"
  text = trimmed(text);
  if (text.size() < kLength) return {};
  std::string address(text.substr(text.size() - kLength));
  const bool shaped = address[4] == ':' && address[7] == ':' && address[10] == '.';
  if (!shaped) return {};
  std::transform(address.begin(), address.end(), address.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return address;
}

}  // namespace berth::worker::devices
