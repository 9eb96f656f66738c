// Bandwidth: a limit that all who share it keep together.
#pragma once

#include "base/bytes.h"
#include "base/clock.h"

#include <mutex>

namespace berth::sources {

// Less would let a server's answer look stalled while its reader waits.
inline constexpr Bytes kLeastBandwidth = 64_KiB;

// Thread-safe. `clock` lives longer.
class Bandwidth {
 public:
  // Less than kLeastBandwidth is taken for that.
  explicit Bandwidth(Bytes per_second, const Clock& clock = real_clock());

  // Counts `bytes` that came; how long to wait before more are read. What was not used in the past
  // is not saved up.
  [[nodiscard]] Duration take(Bytes bytes);

 private:
  const Clock& clock_;
  const double per_second_;
  std::mutex mutex_;
  SteadyTime free_at_;  // when all that was taken would have come at the limit
};

}  // namespace berth::sources
