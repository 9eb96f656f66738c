#include "worker/liveness.h"

namespace berth::worker {

void Liveness::answered(SteadyTime now) {
  last_answer_ = now;
  misses_.clear();
}

bool Liveness::missed(SteadyTime now, std::optional<Duration> processor) {
  misses_.push_back({now, processor});
  if (misses_.size() > policy_.idle_misses) misses_.pop_front();
  if (misses_.size() < policy_.idle_misses) return false;
  return is_idle() || silence(now) >= policy_.busy_silence;
}

bool Liveness::is_idle() const {
  const auto& first = misses_.front();
  const auto& last = misses_.back();
  if (!first.processor || !last.processor) return false;
  const Duration used = *last.processor - *first.processor;
  if (used < Duration(0)) return false;  // a process of it ended: that is something
  const auto passed = std::chrono::duration_cast<Duration>(last.at - first.at);
  return used * policy_.idle_share <= passed;
}

}  // namespace berth::worker
