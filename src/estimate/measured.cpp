#include "estimate/measured.h"

#include <algorithm>

namespace berth::estimate {

const model::ComputeFigure* measured(const model::ComputeTable* table, model::ComputeRole role,
                                     const GgufOptions& options) {
  if (table == nullptr) return nullptr;
  const model::ComputeFigure* least = nullptr;
  for (const auto& figure : table->figures) {
    const bool holds = figure.role == role && figure.slots == options.slots &&
                       padded_context(figure.context) >= padded_context(options.context);
    if (holds && (least == nullptr || figure.size < least->size)) least = &figure;
  }
  return least;
}

std::optional<Bytes> measured_at_most(const model::ComputeTable* table, model::ComputeRole role) {
  if (table == nullptr) return std::nullopt;
  std::optional<Bytes> most;
  for (const auto& figure : table->figures) {
    if (figure.role == role) most = std::max(most.value_or(figure.size), figure.size);
  }
  return most;
}

}  // namespace berth::estimate
