// SpeedMeter: how many bytes come in a second, over the last seconds. Internal to sources/download.
#pragma once

#include "base/bytes.h"
#include "base/clock.h"

#include <deque>

namespace berth::sources {

// Not thread-safe.
class SpeedMeter {
 public:
  // `received` bytes in all have come by `now`. Neither goes back.
  void add(SteadyTime now, Bytes received) {
    points_.push_back({now, received});
    while (points_.size() > 2 && now - points_[1].time >= kWindow) points_.pop_front();
  }
  [[nodiscard]] Bytes per_second() const {
    if (points_.size() < 2) return {};
    const std::chrono::duration<double> time = points_.back().time - points_.front().time;
    if (time.count() <= 0) return {};
    const Bytes bytes = points_.back().received - points_.front().received;
    return {static_cast<std::uint64_t>(static_cast<double>(bytes.count) / time.count())};
  }

 private:
  static constexpr std::chrono::seconds kWindow{5};
  struct Point {
    SteadyTime time;
    Bytes received;
  };
  std::deque<Point> points_;
};

}  // namespace berth::sources
