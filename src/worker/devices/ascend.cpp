#include "worker/devices/ascend.h"

#include "worker/devices/readings.h"
#include "worker/devices/tool.h"

#include <algorithm>
#include <map>
#include <utility>

namespace berth::worker::devices {
namespace {

constexpr double kMebibyte = 1024 * 1024;

using Chip = std::pair<std::uint32_t, std::uint32_t>;  // of a card, both by number

// "| 0     Ascend910           | OK            | 162.6   34     0    / 0   |"
struct CardRow {
  std::uint32_t card = 0;
  std::string_view name;
  std::vector<std::string_view> figures;  // power, temperature, huge pages
};

std::optional<CardRow> read_card_row(const std::vector<std::string_view>& cells) {
  if (cells.size() != 3) return std::nullopt;
  const auto words = words_of(cells[0]);
  if (words.size() != 2 || read_index(words[1])) return std::nullopt;
  const auto card = read_index(words[0]);
  CardRow row{.name = words[1], .figures = words_of(cells[2])};
  if (!card || row.figures.size() < 2) return std::nullopt;
  row.card = *card;
  return row;
}

// What stands on both sides of each '/': "0 0 / 0 31877/ 65536" is {0, 0} and {31877, 65536}.
std::vector<std::pair<std::string_view, std::string_view>> pairs_of(std::string_view text) {
  std::vector<std::pair<std::string_view, std::string_view>> pairs;
  for (auto at = text.find('/'); at != std::string_view::npos; at = text.find('/', at + 1)) {
    const auto before = words_of(text.substr(0, at));
    const auto after = words_of(text.substr(at + 1));
    if (!before.empty() && !after.empty()) pairs.emplace_back(before.back(), after.front());
  }
  return pairs;
}

// "| 1     15                  | 0000:83:00.0  | 0        0    / 0      31877/ 65536   |", after
// the card's row. The second number is by what CANN knows the chip; without one, chips are counted.
bool add_chip_row(const std::vector<std::string_view>& cells, const CardRow& card, Sample& sample,
                  std::map<Chip, std::string>& chips) {
  if (cells.size() != 3) return false;
  const auto words = words_of(cells[0]);
  const auto use = words_of(cells[2]);
  if (words.empty() || words.size() > 2 || use.empty()) return false;
  const auto chip = read_index(words[0]);
  const auto index =
      words.size() == 2 ? read_index(words[1]) : static_cast<std::uint32_t>(sample.devices.size());
  if (!chip || !index) return false;
  Reading reading{.device = {.kind = model::DeviceKind::cann, .index = *index}};
  reading.device.id = fmt::format("cann:{}", *index);
  const bool known = std::ranges::find(sample.devices, reading.device.id, &model::Device::id) !=
                     sample.devices.end();
  if (known) return false;
  reading.device.name = card.name;
  reading.device.address = pci_address(cells[1]);
  const auto& what = reading.device.id;
  reading.power = read_figure(card.figures[0], what, sample.warnings);
  reading.temperature = read_figure(card.figures[1], what, sample.warnings);
  reading.utilisation = read_figure(use[0], what, sample.warnings);
  // DDR, then HBM where the chip has it.
  if (const auto pairs = pairs_of(cells[2]); !pairs.empty()) {
    reading.used = read_figure(pairs.back().first, what, sample.warnings);
    reading.memory = read_figure(pairs.back().second, what, sample.warnings);
    for (auto* figure : {&reading.used, &reading.memory}) {
      if (*figure) **figure *= kMebibyte;
    }
  }
  chips[{card.card, *chip}] = reading.device.id;
  sample.devices.push_back(believe(std::move(reading), sample.warnings));
  return true;
}

// "| 0       0       | 632268        | python3.1          | 197                   | NA    |"
void add_process_row(const std::vector<std::string_view>& cells,
                     const std::map<Chip, std::string>& chips, Sample& sample) {
  if (cells.size() < 4) return;
  const auto words = words_of(cells[0]);
  if (words.size() != 2) return;
  const auto card = read_index(words[0]);
  const auto chip = read_index(words[1]);
  const auto pid = read_index(cells[1]);
  if (!card || !chip || !pid) return;
  const auto device = chips.find({*card, *chip});
  const auto figure = read_figure(cells[3], "npu-smi", sample.warnings);
  if (device == chips.end() || !figure) return;
  if (const auto memory = believe_memory(*figure * kMebibyte)) {
    sample.processes.push_back(
        {.pid = static_cast<pid_t>(*pid), .device = device->second, .memory = *memory});
  }
}

class Ascend : public Vendor {
 public:
  [[nodiscard]] std::string_view name() const override { return "Huawei Ascend"; }
  [[nodiscard]] model::DeviceKind kind() const override { return model::DeviceKind::cann; }

  Result<Sample> look() override {
    BERTH_TRY(const auto text, run_tool({"npu-smi", "info"}));
    BERTH_TRY(auto sample, parse_npu_smi(text));
    for (auto& device : sample.devices) device.network_address = network_address(device.index);
    return sample;
  }

 private:
  // Asked once for each device: it is set up once, and the tool takes its time.
  std::string network_address(std::uint32_t index) {
    const auto known = addresses_.find(index);
    if (known != addresses_.end()) return known->second;
    const auto text = run_tool({"hccn_tool", "-i", std::to_string(index), "-ip", "-g"});
    return addresses_[index] = text ? parse_hccn_address(*text) : std::string();
  }

  std::map<std::uint32_t, std::string> addresses_;
};

}  // namespace

Result<Sample> parse_npu_smi(std::string_view text) {
  Sample sample;
  std::map<Chip, std::string> chips;
  std::optional<CardRow> card;
  for (const auto line : lines_of(text)) {
    const auto cells = cells_of(line);
    if (card && add_chip_row(cells, *card, sample, chips)) {
      card.reset();
      continue;
    }
    card = read_card_row(cells);
    if (!card) add_process_row(cells, chips, sample);
  }
  if (sample.devices.empty()) return fail(ErrorCode::corrupt, "npu-smi names no device");
  return sample;
}

std::string parse_hccn_address(std::string_view text) {
  const auto address = word_after(text, "ipaddr:");
  const auto strange = address.find_first_not_of("0123456789abcdefABCDEF.:");
  return strange == std::string_view::npos ? std::string(address) : std::string();
}

std::unique_ptr<Vendor> make_ascend() { return std::make_unique<Ascend>(); }

}  // namespace berth::worker::devices
