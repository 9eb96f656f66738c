#include "server/inspection.h"

#include "backends/check.h"

#include <algorithm>

namespace berth::server {
namespace {

constexpr std::string_view kDevice = "device";

Result<Way> find_way(const backends::Backend& backend, const model::ModelProfile& profile,
                     const backends::ParsedParameters& parameters, bool on_device,
                     std::uint32_t cores, const model::ComputeTable& compute) {
  Way way{.on = on_device ? std::string(kDevice) : "cpu"};
  BERTH_TRY(way.serving, backend.serving(profile, parameters, on_device));
  backends::EstimateRequest request{.profile = profile,
                                    .parameters = parameters,
                                    .serving = way.serving,
                                    .devices = {},
                                    .cores = cores,
                                    .compute = &compute};
  if (on_device) {
    const std::uint32_t all = backend.layers(profile);
    const auto layers = std::min(backend.device_wish(parameters).layers.value_or(all), all);
    request.devices.push_back({std::string(kDevice), layers});
  }
  BERTH_TRY(way.claim, backend.estimate(request));
  way.engine_context = backend.engine_context(way.serving);
  if (!way.claim.devices.empty()) {
    way.cached_tokens =
        backend.cached_tokens(profile, parameters, way.claim, way.claim.devices.front().total());
  }
  return way;
}

// The user's flags, with those that the request has names of its own for.
Result<std::vector<std::string>> flags_of(const InspectRequest& request,
                                          const backends::BackendDescriptor& descriptor) {
  auto flags = request.parameters;
  const auto add = [&](std::string_view field, std::string_view flag,
                       std::optional<std::uint32_t> value) -> Result<void> {
    if (!value) return {};
    if (flag.empty()) {
      return fail(make_error(ErrorCode::invalid_parameter, "{} has no meaning to {}", field,
                             descriptor.name)
                      .with_field(std::string(field)));
    }
    flags.emplace_back(flag);
    flags.push_back(std::to_string(*value));
    return {};
  };
  BERTH_CHECK(add("context", descriptor.context_flag, request.context));
  BERTH_CHECK(add("slots", descriptor.slots_flag, request.slots));
  return flags;
}

}  // namespace

Result<Inspection> inspect(const InspectRequest& request, model::ModelProfile profile,
                           Machine machine, const backends::Registry& backends,
                           const AskJudge& judge) {
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
  found.other_backends = choice.others;
  found.shares_cache = choice.backend->descriptor().shares_cache;
  for (const auto platform : choice.backend->platforms(found.profile)) {
    found.platforms.emplace_back(platform);
  }
  BERTH_TRY(auto flags, flags_of(request, choice.backend->descriptor()));
  const model::Deployment deployment{
      .name = "inspected", .source = found.path, .parameters = flags};
  BERTH_TRY(auto checked, backends::check_deployment(*choice.backend, deployment, found.profile));
  found.warnings = std::move(checked.warnings);
  if (!choice.backend->descriptor().startable) {
    found.warnings.push_back(
        fmt::format("this version of Berth does not start {} yet", found.backend));
  }
  model::ComputeTable compute;
  if (judge && choice.backend->descriptor().startable) {
    compute = judge({.deployment = deployment,
                     .backend = found.backend,
                     .profile = found.profile,
                     .devices = true});
  }
  const bool device_wanted =
      choice.backend->device_wish(checked.parameters).layers.value_or(1) != 0;
  for (const bool on_device : {false, true}) {
    if (on_device && !device_wanted) continue;
    auto way = find_way(*choice.backend, found.profile, checked.parameters, on_device,
                        found.machine.cores, compute);
    if (way) {
      found.ways.push_back(*std::move(way));
    } else if (way.error().code != ErrorCode::unsupported) {
      return fail(std::move(way).error());
    } else if (on_device) {  // an engine that needs a device is no surprise without one
      found.warnings.push_back(way.error().to_string());
    }
  }
  if (!request.devices.empty()) {
    BERTH_TRY(found.fit, fit_devices({.profile = found.profile,
                                      .backend = *choice.backend,
                                      .parameters = flags,
                                      .devices = request.devices,
                                      .host = found.machine.memory,
                                      .cores = found.machine.cores,
                                      .compute = compute}));
  }
  return found;
}

}  // namespace berth::server
