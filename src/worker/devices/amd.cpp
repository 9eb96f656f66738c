#include "worker/devices/amd.h"

#include "worker/devices/smi_json.h"
#include "worker/devices/tool.h"

namespace berth::worker::devices {

Result<Sample> parse_rocm_smi(std::string_view text) {
  const auto cards = read_smi_cards(text);
  if (cards.empty()) return fail(ErrorCode::corrupt, "rocm-smi names no card");
  Sample sample;
  sample.devices.reserve(cards.size());
  for (const auto& card : cards) {
    const std::string what = fmt::format("rocm:{}", card.index);
    const auto figure = [&](std::initializer_list<std::string_view> names) {
      return read_figure(card.text(names), what, sample.warnings);
    };
    Reading reading{.device = {.kind = model::DeviceKind::rocm, .index = card.index}};
    reading.device.name = card.text({"card series", "device name"});
    reading.device.address = pci_address(card.text({"pci bus"}));
    reading.device.capability = card.text({"gfx version"});
    const auto unique = card.text({"unique id"});
    if (unique != "N/A") reading.device.uuid = unique;
    reading.memory = figure({"vram total memory (b)"});
    reading.used = figure({"vram total used memory (b)"});
    reading.utilisation = figure({"gpu use (%)"});
    reading.temperature =
        figure({"temperature (sensor edge) (c)", "temperature (sensor junction) (c)"});
    reading.power =
        figure({"average graphics package power (w)", "current socket graphics package power (w)"});
    sample.devices.push_back(believe(std::move(reading), sample.warnings));
  }
  return sample;
}

std::unique_ptr<Vendor> make_amd() {
  return make_tool_vendor(
      {.name = "AMD",
       .kind = model::DeviceKind::rocm,
       .argv = {"rocm-smi", "--showproductname", "--showmeminfo", "vram", "--showuse", "--showtemp",
                "--showpower", "--showbus", "--showuniqueid", "--json"},
       .parse = parse_rocm_smi});
}

}  // namespace berth::worker::devices
