// Liveness: whether an engine that serves has hung, judged from probes that it answers or not.
// Pure: time and the engine's use of the processor are given to it.
#pragma once

#include "base/clock.h"

#include <cstddef>
#include <deque>
#include <optional>

namespace berth::worker {

// What is probed how often, and how long an engine may be silent.
struct LivenessPolicy {
  Duration every = std::chrono::seconds(10);        // between two probes
  Duration patience = std::chrono::seconds(10);     // for the answer to one
  std::size_t idle_misses = 3;                      // in a row, of an engine that does nothing
  Duration busy_silence = std::chrono::minutes(5);  // of one that computes, as in a long batch
  // Less than one part in so many of one core is nothing: its HTTP threads take that for our
  // probes.
  int idle_share = 100;
};

// A value, used by one task.
class Liveness {
 public:
  // From `now` on, when the engine answered.
  explicit Liveness(SteadyTime now, LivenessPolicy policy = {})
      : policy_(policy), last_answer_(now) {}

  // The engine answered a probe, whatever it said.
  void answered(SteadyTime now);
  // It did not. `processor` is what its processes have used since they started, nothing where that
  // is not known (it then counts as computing). True: it hangs and should be ended.
  [[nodiscard]] bool missed(SteadyTime now, std::optional<Duration> processor);

  [[nodiscard]] Duration silence(SteadyTime now) const {
    return std::chrono::duration_cast<Duration>(now - last_answer_);
  }
  [[nodiscard]] const LivenessPolicy& policy() const { return policy_; }

 private:
  struct Miss {
    SteadyTime at;
    std::optional<Duration> processor;
  };
  [[nodiscard]] bool is_idle() const;

  LivenessPolicy policy_;
  SteadyTime last_answer_;
  std::deque<Miss> misses_;  // the last ones, at most policy_.idle_misses
};

}  // namespace berth::worker
