#include "worker/devices/hygon.h"

#include "worker/devices/smi_json.h"
#include "worker/devices/tool.h"

namespace berth::worker::devices {
namespace {

std::optional<double> mebibytes(std::optional<double> figure) {
  if (figure) *figure *= 1024 * 1024;
  return figure;
}

}  // namespace

Result<Sample> parse_hy_smi(std::string_view text) {
  const auto cards = read_smi_cards(text);
  if (cards.empty()) return fail(ErrorCode::corrupt, "hy-smi names no card");
  Sample sample;
  sample.devices.reserve(cards.size());
  for (const auto& card : cards) {
    const std::string what = fmt::format("dtk:{}", card.index);
    const auto figure = [&](std::initializer_list<std::string_view> names) {
      return read_figure(card.text(names), what, sample.warnings);
    };
    Reading reading{.device = {.kind = model::DeviceKind::dtk, .index = card.index}};
    reading.device.name = card.text({"card series"});
    reading.memory = mebibytes(figure({"vram total memory (mib)"}));
    reading.used = mebibytes(figure({"vram total used memory (mib)"}));
    reading.utilisation = figure({"hcu use (%)"});
    reading.temperature = figure({"temperature (sensor edge) (c)"});
    reading.power = figure({"average graphics package power (w)"});
    sample.devices.push_back(believe(std::move(reading), sample.warnings));
  }
  return sample;
}

std::unique_ptr<Vendor> make_hygon() {
  return make_tool_vendor({.name = "Hygon",
                           .kind = model::DeviceKind::dtk,
                           .argv = {"hy-smi", "--showproductname", "--showmeminfo", "vram",
                                    "--showuse", "--showtemp", "--showpower", "--json"},
                           .parse = parse_hy_smi});
}

}  // namespace berth::worker::devices
