#include "server/inspection.h"

#include "backends/check.h"
#include "estimate/gguf.h"

#include <algorithm>

namespace berth::server {
namespace {

constexpr std::string_view kDevice = "device";

Result<Way> find_way(const backends::Backend& backend, const model::ModelProfile& profile,
                     const backends::ParsedParameters& parameters, bool on_device,
                     std::uint32_t cores) {
  Way way{.on = on_device ? std::string(kDevice) : "cpu"};
  BERTH_TRY(way.serving, backend.serving(profile, parameters, on_device));
  backends::EstimateRequest request{.profile = profile,
                                    .parameters = parameters,
                                    .serving = way.serving,
                                    .devices = {},
                                    .cores = cores};
  if (on_device) {
    const std::uint32_t all = backend.layers(profile);
    const auto layers = std::min(backend.device_wish(parameters).layers.value_or(all), all);
    request.devices.push_back({std::string(kDevice), layers});
  }
  BERTH_TRY(way.claim, backend.estimate(request));
  way.engine_context =
      std::uint64_t{estimate::padded_context(way.serving.context)} * way.serving.slots;
  return way;
}

}  // namespace

Result<Inspection> inspect(const InspectRequest& request, model::ModelProfile profile,
                           Machine machine, const backends::Registry& backends) {
  Inspection found{.path = request.source,
                   .worker = std::nullopt,
                   .profile = std::move(profile),
                   .machine = std::move(machine)};
  const bool is_companion = !found.profile.projectors.empty() && found.profile.layer_count == 0;
  if (is_companion || found.profile.adapter) {
    found.backend_reason = "none: it goes with another model, and is not served alone";
    return found;
  }
  BERTH_TRY(const auto choice, backends::choose_backend(backends, found.profile, request.backend));
  found.backend = std::string(choice.backend->descriptor().name);
  found.backend_reason = choice.reason;
  const model::Deployment deployment{
      .name = "inspected", .source = found.path, .parameters = request.parameters};
  BERTH_TRY(auto checked, backends::check_deployment(*choice.backend, deployment, found.profile));
  found.warnings = std::move(checked.warnings);
  const bool device_wanted =
      choice.backend->device_wish(checked.parameters).layers.value_or(1) != 0;
  for (const bool on_device : {false, true}) {
    if (on_device && !device_wanted) continue;
    BERTH_TRY(auto way, find_way(*choice.backend, found.profile, checked.parameters, on_device,
                                 found.machine.cores));
    found.ways.push_back(std::move(way));
  }
  return found;
}

}  // namespace berth::server
