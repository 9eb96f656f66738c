#include "server/placing.h"

#include "server/gangs.h"

#include <utility>

namespace berth::server {

tl::expected<schedule::ScoredPlacement, std::string> find_place(
    const model::Model& model, const model::Observation* observed,
    const backends::Registry& backends, const model::ClusterView& cluster,
    std::span<const std::string> avoid) {
  const backends::Backend* backend = backends.find(model.backend);
  if (backend == nullptr) {
    return tl::unexpected(fmt::format("this version has no backend named {}", model.backend));
  }
  const auto parameters =
      backends::parse_parameters(backend->descriptor(), model.deployment.parameters);
  if (!parameters) return tl::unexpected(parameters.error().to_string());
  const schedule::PlacementRequest request{.deployment = model.deployment,
                                           .profile = model.profile,
                                           .backend = *backend,
                                           .parameters = *parameters,
                                           .compute = &model.compute,
                                           .observed = observed,
                                           .avoid = avoid};
  auto placed = schedule::place(request, cluster);
  if (!placed) return tl::unexpected(schedule::explain(placed.error()));
  auto refusal = refuse_gang(*backend, model.deployment, placed->placement, cluster);
  if (!refusal.empty()) return tl::unexpected(std::move(refusal));
  return *std::move(placed);
}

}  // namespace berth::server
