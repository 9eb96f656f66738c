#include "estimate/observed.h"

#include <algorithm>

namespace berth::estimate {

const model::ObservedLayout* find_observed(const model::Observation* observation,
                                           std::string_view build, const model::Serving& serving,
                                           const model::Claim& claim) {
  if (observation == nullptr) return nullptr;
  const std::uint32_t on_devices = claim.layers ? claim.layers->on_devices : 0;
  const auto found =
      std::ranges::find_if(observation->layouts, [&](const model::ObservedLayout& layout) {
        return layout.build == build && layout.serving.context == serving.context &&
               layout.serving.slots == serving.slots && layout.layers_on_devices == on_devices;
      });
  return found == observation->layouts.end() ? nullptr : &*found;
}

void apply_observed(const model::ObservedLayout& observed, model::Claim& claim) {
  if (claim.devices.empty()) return;
  auto& host = claim.devices.back();
  const Bytes known = host.weights + host.kv_cache + host.compute;
  const Bytes seen = observed.host + Bytes{observed.host.count / 50};
  if (seen <= known) return;
  host.runtime = seen - known;
  claim.method = model::ClaimMethod::observed;
}

}  // namespace berth::estimate
