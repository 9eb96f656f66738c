// Clock: time comes in through this interface where a test needs to steer it.
#pragma once

#include <chrono>
#include <optional>
#include <string>

namespace berth {

using Duration = std::chrono::milliseconds;
using SteadyTime = std::chrono::steady_clock::time_point;  // deadlines, intervals, heartbeats
using SystemTime = std::chrono::system_clock::time_point;  // only what people read

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual SteadyTime steady_now() const = 0;
  [[nodiscard]] virtual SystemTime system_now() const = 0;
};

// The machine's clocks. Lives as long as the program.
const Clock& real_clock();

// A clock that stands still until it is moved. Not thread-safe; for tests.
class ManualClock final : public Clock {
 public:
  [[nodiscard]] SteadyTime steady_now() const override { return steady_; }
  [[nodiscard]] SystemTime system_now() const override { return system_; }
  void advance(Duration by) {
    steady_ += by;
    system_ += by;
  }

 private:
  SteadyTime steady_ = SteadyTime(std::chrono::hours(1));
  SystemTime system_ = SystemTime(std::chrono::hours(24 * 365 * 50));
};

// RFC 3339 in UTC with milliseconds: "2026-11-22T10:15:30.123Z".
std::string to_rfc3339(SystemTime time);
// Reads such a text, to the second; nullopt where it is none.
std::optional<SystemTime> parse_rfc3339(const std::string& text);

// "12s", "3m 05s", "2h 03m": for people.
std::string duration_text(Duration duration);

}  // namespace berth
