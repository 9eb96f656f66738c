#include "worker/trial.h"

#include <gtest/gtest.h>

namespace berth::worker {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

// An engine whose figures are looked at every ten seconds.
class LookedAt {
 public:
  explicit LookedAt(TrialPolicy policy = {}) : trial_(now_, policy) {}

  // Whether a request is due now, after `passed`.
  bool look(WorkFigures figures, Duration passed = seconds(10)) {
    now_ += passed;
    return trial_.is_due(now_, figures);
  }
  void answer(WorkFigures figures) { trial_.answered(now_, figures); }
  // How long until a request is due while the figures stay so.
  Duration time_until_due(WorkFigures figures) {
    const SteadyTime from = now_;
    while (!look(figures) && now_ - from < std::chrono::hours(1)) {
    }
    return std::chrono::duration_cast<Duration>(now_ - from);
  }

 private:
  SteadyTime now_ = SteadyTime(std::chrono::hours(1));
  Trial trial_;
};

TEST(Trial, ComesAfterAMinuteWithNothingToDo) {
  LookedAt engine;
  EXPECT_EQ(engine.time_until_due({}), minutes(1));
}

TEST(Trial, WaitsLongerWhereARequestCostsMoreAndThenComesEveryMinute) {
  LookedAt engine({.idle_before = minutes(5)});
  EXPECT_EQ(engine.time_until_due({}), minutes(5));
  engine.answer({.progress = 1});
  EXPECT_EQ(engine.time_until_due({.progress = 1}), minutes(1));
}

TEST(Trial, WaitsAnewOnceSomebodyUsedTheEngine) {
  LookedAt engine({.idle_before = minutes(5)});
  EXPECT_EQ(engine.time_until_due({}), minutes(5));
  engine.answer({.progress = 1});
  EXPECT_FALSE(engine.look({.progress = 9}));
  EXPECT_EQ(engine.time_until_due({.progress = 9}), minutes(5));
}

TEST(Trial, NeverDisturbsAnEngineThatComputes) {
  LookedAt engine;
  for (int i = 0; i < 1000; ++i) {
    EXPECT_FALSE(engine.look({.load = 50, .progress = static_cast<double>(i)}));
  }
}

TEST(Trial, ComesWhereRequestsStandStill) {
  LookedAt engine;
  EXPECT_FALSE(engine.look({.load = 0, .progress = 7}));
  EXPECT_FALSE(engine.look({.load = 2, .progress = 7}));  // they may have come just now
  EXPECT_TRUE(engine.look({.load = 2, .progress = 7}));
}

TEST(Trial, IsRepeatedUntilItIsAnswered) {
  LookedAt engine;
  EXPECT_EQ(engine.time_until_due({}), minutes(1));
  EXPECT_TRUE(engine.look({}));
  EXPECT_TRUE(engine.look({}));
  engine.answer({.progress = 1});
  EXPECT_FALSE(engine.look({.progress = 1}));
}

TEST(Trial, IsCalledOffByProgress) {
  LookedAt engine;
  engine.look({.load = 1});
  EXPECT_TRUE(engine.look({.load = 1}));
  EXPECT_FALSE(engine.look({.load = 1, .progress = 1}));
}

TEST(Trial, IsNotConcludedFromTwoLooksInOneMoment) {
  LookedAt engine;
  EXPECT_FALSE(engine.look({.load = 1}));
  EXPECT_FALSE(engine.look({.load = 1}, Duration(20)));
  EXPECT_TRUE(engine.look({.load = 1}));
}

TEST(Trial, TakesACountThatBeganAnewForProgress) {
  LookedAt engine;
  engine.look({.load = 1, .progress = 100});
  EXPECT_FALSE(engine.look({.load = 1, .progress = 2}));
}

}  // namespace
}  // namespace berth::worker
