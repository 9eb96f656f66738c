#include "sources/download/bandwidth.h"

#include <algorithm>

namespace berth::sources {

Bandwidth::Bandwidth(Bytes per_second, const Clock& clock)
    : clock_(clock),
      per_second_(static_cast<double>(std::max(per_second, kLeastBandwidth).count)),
      free_at_(clock.steady_now()) {}

Duration Bandwidth::take(Bytes bytes) {
  const std::lock_guard lock(mutex_);
  const SteadyTime now = clock_.steady_now();
  const std::chrono::duration<double> time(static_cast<double>(bytes.count) / per_second_);
  free_at_ = std::max(free_at_, now) +
             std::chrono::duration_cast<std::chrono::steady_clock::duration>(time);
  return std::chrono::ceil<Duration>(free_at_ - now);
}

}  // namespace berth::sources
