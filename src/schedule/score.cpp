#include "schedule/score.h"

#include <algorithm>

namespace berth::schedule {
namespace {

double free_part(const model::WorkerView& worker, const model::Placement& placement) {
  double smallest = 1;
  // The host counts only where nothing else does: it takes a part of every placement.
  const bool host_only = placement.claim.devices.size() == 1;
  for (const auto& claim : placement.claim.devices) {
    const auto* view = worker.find_device(claim.device);
    if (view == nullptr || view->device.memory.count == 0) continue;
    if (view->device.kind == model::DeviceKind::cpu && !host_only) continue;
    const Bytes left = view->free() - claim.total();
    smallest = std::min(
        smallest, static_cast<double>(left.count) / static_cast<double>(view->device.memory.count));
  }
  return smallest;
}

}  // namespace

double score_of(const model::WorkerView& worker, const std::string& model,
                const model::Placement& placement, model::PlacementPolicy policy) {
  const bool installed =
      std::any_of(worker.packs.begin(), worker.packs.end(), [&](const model::PackStatus& status) {
        return status.pack.name == placement.pack && status.state == model::PackState::installed;
      });
  const double part = free_part(worker, placement);
  const double pack = installed ? 5 : 0;
  if (policy == model::PlacementPolicy::binpack) return 95 * (1 - part) + pack;
  double same = 0;
  double others = 0;
  for (const auto& [name, count] : worker.instances) (name == model ? same : others) += count;
  return 50 / (1 + same) + 20 / (1 + others) + 25 * part + pack;
}

}  // namespace berth::schedule
