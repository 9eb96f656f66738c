#include "server/instances.h"

#include <algorithm>

namespace berth::server {

model::Instance make_instance(const model::Model& model, std::string_view id, SystemTime now) {
  model::Instance instance;
  std::string base = model.deployment.name;
  std::replace(base.begin(), base.end(), '/', '-');
  instance.name = fmt::format("{}-{}", base, id);
  instance.model = model.deployment.name;
  instance.model_generation = model.generation;
  instance.created_at = to_rfc3339(now);
  instance.state_since = instance.created_at;
  return instance;
}

void forget_place(model::Instance& instance) {
  ++instance.generation;
  instance.placement.reset();
  instance.serving.reset();
  instance.warnings.clear();
  instance.host.clear();
  instance.port = 0;
  instance.pid.reset();
  instance.attempt = 0;
  instance.failures = 0;
  instance.given_up_on.clear();
  instance.gang.reset();
  instance.members.clear();
}

}  // namespace berth::server
