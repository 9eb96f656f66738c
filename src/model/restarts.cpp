#include "model/restarts.h"

#include <algorithm>

namespace berth::model {

Duration restart_pause(std::uint32_t failures) {
  constexpr std::chrono::milliseconds kFirst{500};
  constexpr std::chrono::seconds kLongest{60};
  Duration pause = kFirst;
  for (std::uint32_t i = 1; i < failures && pause < kLongest; ++i) pause *= 2;
  return std::min<Duration>(pause, kLongest);
}

}  // namespace berth::model
