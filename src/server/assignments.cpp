#include "server/assignments.h"

namespace berth::server {

std::vector<model::Assignment> assignments_of(const model::Instance& instance,
                                              const model::Model& model) {
  model::Assignment assignment{.instance = instance.name,
                               .generation = instance.generation,
                               .member = 0,
                               .worker = instance.placement->worker,
                               .deployment = model.deployment,
                               .backend = model.backend,
                               .profile = model.profile,
                               .placement = *instance.placement,
                               .serving = *instance.serving,
                               .engine_key = instance.engine_key,
                               .drain = false,
                               .files = model.files,
                               .gang = instance.gang};
  if (!instance.gang) return {std::move(assignment)};
  std::vector<model::Assignment> assignments;
  for (const auto& member : instance.gang->members) {
    assignment.member = member.member;
    assignment.worker = member.worker;
    assignments.push_back(assignment);
  }
  return assignments;
}

}  // namespace berth::server
