// Trial: when an engine that says it works gets a small real request, as proof. Pure: time and the
// engine's figures are given to it.
#pragma once

#include "base/clock.h"

#include <optional>

namespace berth::worker {

struct TrialPolicy {
  // How long the engine must have had nothing to do before it gets the first one.
  Duration idle_before = std::chrono::minutes(1);
  Duration every = std::chrono::minutes(1);          // from then on, while it stays idle
  Duration patience = std::chrono::seconds(30);      // its weights may have to come from disk again
  Duration shortest_look = std::chrono::seconds(5);  // what passed in less tells nothing
};

// What an engine tells of its work.
struct WorkFigures {
  double load = 0;      // requests under way and waiting
  double progress = 0;  // grows whenever it computes
};

// A value, used by one task. An engine that makes progress is left alone, however many requests it
// has.
class Trial {
 public:
  // Of an engine that has just become ready.
  explicit Trial(SteadyTime now, TrialPolicy policy = {}) : policy_(policy), proof_(now) {}

  // Whether the engine should get a request: it has had nothing to do for a while, or had requests
  // now and at the look before, and computed nothing between. True again at each look until
  // `answered` or progress.
  [[nodiscard]] bool is_due(SteadyTime now, WorkFigures figures);
  [[nodiscard]] const TrialPolicy& policy() const { return policy_; }
  // The request was answered; `figures` are those after it.
  void answered(SteadyTime now, std::optional<WorkFigures> figures);

 private:
  TrialPolicy policy_;
  SteadyTime proof_;        // when it was last known to work
  bool was_tried_ = false;  // since others had it work
  bool due_ = false;
  std::optional<SteadyTime> looked_;
  std::optional<WorkFigures> last_;
};

}  // namespace berth::worker
