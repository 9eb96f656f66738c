#include "server/observations.h"

#include "base/ids.h"
#include "base/json.h"
#include "estimate/observed.h"

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
  const auto& claim = instance.placement->claim;
  const auto* seen = estimate::find_observed(&known, sighting.build, *instance.serving, claim);
  model::ObservedLayout layout{.build = sighting.build,
                               .serving = *instance.serving,
                               .layers_on_devices = claim.layers ? claim.layers->on_devices : 0,
                               .host = sighting.resident,
                               .at = now};
  if (seen != nullptr) {
    if (sighting.resident <= seen->host + Bytes{seen->host.count / 100}) return false;
    known.layouts.erase(known.layouts.begin() + (seen - known.layouts.data()));
  }
  known.model = sighting.model.deployment.name;
  known.layouts.push_back(std::move(layout));
  if (known.layouts.size() > kMostLayouts) known.layouts.erase(known.layouts.begin());
  return true;
}

}  // namespace berth::server
