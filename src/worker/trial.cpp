#include "worker/trial.h"

namespace berth::worker {

bool Trial::is_due(SteadyTime now, WorkFigures figures) {
  if (looked_ && now - *looked_ < policy_.shortest_look) return due_;
  const auto before = last_;
  looked_ = now;
  last_ = figures;
  if (!before) return due_ = false;
  if (figures.progress != before->progress) {
    proof_ = now;
    was_tried_ = false;
    return due_ = false;
  }
  const bool is_idle = figures.load == 0 && before->load == 0;
  if (is_idle) return due_ = now - proof_ >= (was_tried_ ? policy_.every : policy_.idle_before);
  return due_ = figures.load > 0 && before->load > 0;
}

void Trial::answered(SteadyTime now, std::optional<WorkFigures> figures) {
  proof_ = now;
  due_ = false;
  was_tried_ = true;
  if (figures) last_ = figures;
}

}  // namespace berth::worker
