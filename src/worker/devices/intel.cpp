#include "worker/devices/intel.h"

#include "worker/devices/readings.h"
#include "worker/devices/tool.h"

#include <optional>
#include <utility>

namespace berth::worker::devices {
namespace {

void add_device(const json::object& device, Sample& sample) {
  const auto* id = device.if_contains("device_id");
  if (id == nullptr || !id->is_int64() || id->get_int64() < 0 || id->get_int64() > 255) return;
  const auto index = static_cast<std::uint32_t>(id->get_int64());
  const std::string what = fmt::format("sycl:{}", index);
  Reading reading{.device = {.kind = model::DeviceKind::sycl, .index = index}};
  reading.device.name = text_of(device, "device_name");
  reading.device.uuid = text_of(device, "uuid");
  reading.device.address = pci_address(text_of(device, "pci_bdf_address"));
  reading.device.driver = text_of(device, "driver_version");
  reading.memory = read_figure(text_of(device, "memory_physical_size_byte"), what, sample.warnings);
  const auto free = read_figure(text_of(device, "memory_free_size_byte"), what, sample.warnings);
  if (reading.memory && free) reading.used = *reading.memory - *free;
  sample.devices.push_back(believe(std::move(reading), sample.warnings));
}

// A list of devices, or one alone.
Result<Sample> parse_discovery(const json::value& document) {
  Sample sample;
  if (const auto* root = document.if_object()) {
    const auto* list = root->if_contains("device_list");
    if (list == nullptr) {
      add_device(*root, sample);
    } else if (list->is_array()) {
      for (const auto& entry : list->get_array()) {
        if (entry.is_object()) add_device(entry.get_object(), sample);
      }
    }
  }
  if (sample.devices.empty()) return fail(ErrorCode::corrupt, "xpu-smi names no device");
  return sample;
}

// "|   0  Intel(R) Arc(TM) A770   Off             | 0000:03:00.0      Off      |   Disabled |"
std::optional<Reading> read_first_row(const std::vector<std::string_view>& cells) {
  if (cells.size() != 3) return std::nullopt;
  const auto words = words_of(cells[0]);
  const auto places = words_of(cells[1]);
  const auto index = words.size() < 3 || places.empty() ? std::nullopt : read_index(words[0]);
  if (!index) return std::nullopt;
  Reading reading{.device = {.kind = model::DeviceKind::sycl, .index = *index}};
  auto name = cells[0].substr(words.front().size());
  name.remove_suffix(words.back().size());  // whether it persists
  reading.device.name = trimmed(name);
  reading.device.address = pci_address(places[0]);
  if (reading.device.address.empty()) return std::nullopt;
  return reading;
}

// "| N/A               N/A  45W / 190W            | 3642MiB / 16288MiB         |  N/A  Default |"
bool add_figures(const std::vector<std::string_view>& cells, Reading& reading,
                 std::vector<std::string>& warnings) {
  if (cells.size() != 3 || cells[1].find("MiB") == std::string_view::npos) return false;
  const auto words = words_of(cells[0]);
  const auto use = words_of(cells[2]);
  if (words.size() < 3 || use.empty()) return false;
  const std::string what = fmt::format("sycl:{}", reading.device.index);
  reading.temperature = read_figure(words[1], what, warnings);
  reading.power = read_figure(words[2], what, warnings);
  reading.utilisation = read_figure(use[0], what, warnings);
  const auto memory = read_memory_pair(cells[1], what, warnings);
  reading.used = memory.used;
  reading.memory = memory.memory;
  return true;
}

Result<Sample> parse_table(std::string_view text) {
  Sample sample;
  const std::string driver(word_after(text, "Driver:"));
  std::optional<Reading> open;
  for (const auto line : lines_of(text)) {
    const auto cells = cells_of(line);
    if (auto next = read_first_row(cells)) {
      open = std::move(next);
    } else if (open && add_figures(cells, *open, sample.warnings)) {
      open->device.driver = driver;
      sample.devices.push_back(believe(*std::exchange(open, std::nullopt), sample.warnings));
    }  // else a name that goes on
  }
  if (sample.devices.empty()) return fail(ErrorCode::corrupt, "xpu-smi names no device");
  return sample;
}

class Intel : public Vendor {
 public:
  [[nodiscard]] std::string_view name() const override { return "Intel"; }
  [[nodiscard]] model::DeviceKind kind() const override { return model::DeviceKind::sycl; }

  // Version 2 prints a table without a command; version 1 its help, so it is asked again.
  Result<Sample> look() override {
    if (const auto table = run_tool({"xpu-smi"})) {
      if (auto sample = parse_xpu_smi(*table)) return sample;
    } else if (table.error().code == ErrorCode::not_found) {
      return fail(table.error());
    }
    BERTH_TRY(const auto text, run_tool({"xpu-smi", "discovery", "-j"}));
    BERTH_TRY(auto all, parse_xpu_smi(text));
    for (auto& device : all.devices) {  // memory is told of one device at a time
      if (device.measured) continue;
      const auto detail =
          run_tool({"xpu-smi", "discovery", "-d", std::to_string(device.index), "-j"});
      if (!detail) return fail(detail.error());
      BERTH_TRY(auto one, parse_xpu_smi(*detail));
      device = std::move(one.devices.front());
      all.warnings.insert(all.warnings.end(), one.warnings.begin(), one.warnings.end());
    }
    return all;
  }
};

}  // namespace

Result<Sample> parse_xpu_smi(std::string_view text) {
  if (!trimmed(text).starts_with('{')) return parse_table(text);
  const auto document = parse_json(text);
  if (!document) return fail(make_error(ErrorCode::corrupt, "xpu-smi printed no JSON"));
  return parse_discovery(*document);
}

std::unique_ptr<Vendor> make_intel() { return std::make_unique<Intel>(); }

}  // namespace berth::worker::devices
