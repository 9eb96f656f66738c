// berth devices: the memory of each device as a bar: claims, what others use, and what is free.
#include "api_client.h"
#include "api_views.h"
#include "command.h"
#include "device_bar.h"
#include "model/worker.h"
#include "terminal.h"

#include <fmt/format.h>

namespace berth::app {
namespace {

struct ClaimView {
  std::string instance;
  std::string model;
  Bytes claim;
  Bytes used;
};
BOOST_DESCRIBE_STRUCT(ClaimView, (), (instance, model, claim, used))

struct FiguresView {
  std::string worker;
  Bytes claimed;
  Bytes others;
  Bytes free;
  std::vector<ClaimView> claims;
};
BOOST_DESCRIBE_STRUCT(FiguresView, (), (worker, claimed, others, free, claims))

std::string state_of(const model::Device& device) {
  std::string text;
  if (device.utilisation) text += fmt::format("  {} % busy", *device.utilisation);
  if (device.temperature) text += fmt::format("  {} °C", *device.temperature);
  if (device.power) text += fmt::format("  {:.0f} W", *device.power);
  if (device.unified) text += "  shares the CPU's memory";
  return text;
}

void print_device(const model::Device& device, const FiguresView& figures, bool colour) {
  fmt::print("{} {}  {}{}\n", printable(figures.worker), printable(device.id),
             printable(device.name), state_of(device));
  if (device.memory.count == 0) {
    fmt::print("  its memory is not known, so nothing is placed on it; see: berth workers\n");
  } else if (!device.measured) {
    fmt::print("  {}, what is used of it is not known, so nothing new is placed on it\n",
               device.memory);
  } else {
    const std::vector<BarPart> parts{{figures.claimed, '#', Style::good},
                                     {figures.others, 'o', Style::busy},
                                     {figures.free, '.', Style::faint}};
    fmt::print("  [{}] claims {}, others {}, free {} of {}\n",
               device_bar(parts, device.memory, colour), figures.claimed, figures.others,
               figures.free, device.memory);
  }
  for (const auto& claim : figures.claims) {
    fmt::print("    {}  claims {}, uses {}\n", printable(claim.instance), claim.claim, claim.used);
  }
}

Result<void> print_devices(const json::value& answer) {
  BERTH_TRY(const auto devices, read_items<model::Device>(answer));
  BERTH_TRY(const auto figures, read_items<FiguresView>(answer));
  if (devices.empty()) {
    fmt::print("No worker has joined.\n");
    return {};
  }
  const bool colour = has_colour(1);
  for (std::size_t i = 0; i < devices.size(); ++i) print_device(devices[i], figures[i], colour);
  fmt::print("# claims of instances  o used by others  . free for a new claim\n");
  return {};
}

}  // namespace

void add_devices(CLI::App& app, const CommonOptions& common, Command& command) {
  auto* devices =
      app.add_subcommand("devices", "Show the memory of each device: claims, used by others, free");
  devices->footer("Example: berth devices --json");
  devices->callback([&common, &command] {
    command = [&common] {
      const auto result = show(common, "/api/v1/devices", print_devices);
      return result ? kDone : report(result.error());
    };
  });
}

}  // namespace berth::app
