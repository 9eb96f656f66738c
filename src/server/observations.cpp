#include "server/observations.h"

#include "base/ids.h"
#include "base/json.h"

#include <algorithm>

namespace berth::server {

std::string observation_name(const model::Model& model) {
  json::object all;
  all["backend"] = model.backend;
  all["parameters"] = to_json(model.deployment.parameters);
  all["source"] = model.deployment.source;
  all["files"] = to_json(model.profile.files);
  return sha256_hex(to_text(all)).substr(0, 32);
}

bool note_sighting(const Sighting& sighting, const std::string& now, model::Observation& known) {
  const auto& instance = sighting.instance;
  if (!instance.placement || !instance.serving || sighting.resident.count == 0) return false;
  const auto& layers = instance.placement->claim.layers;
  const std::uint32_t on_devices = layers ? layers->on_devices : 0;
  const auto found = std::ranges::find_if(known.layouts, [&](const model::ObservedLayout& layout) {
    return layout.build == sighting.build && layout.serving.context == instance.serving->context &&
           layout.serving.slots == instance.serving->slots &&
           layout.layers_on_devices == on_devices;
  });
  model::ObservedLayout layout{.build = sighting.build,
                               .serving = *instance.serving,
                               .layers_on_devices = on_devices,
                               .host = sighting.resident,
                               .at = now};
  if (found != known.layouts.end()) {
    if (sighting.resident <= found->host + Bytes{found->host.count / 100}) return false;
    known.layouts.erase(found);
  }
  known.model = sighting.model.deployment.name;
  known.layouts.push_back(std::move(layout));
  if (known.layouts.size() > kMostLayouts) known.layouts.erase(known.layouts.begin());
  return true;
}

}  // namespace berth::server
