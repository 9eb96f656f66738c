#include "worker/liveness.h"

#include <gtest/gtest.h>

namespace berth::worker {
namespace {

using std::chrono::seconds;

// An engine that answers nothing any more, probed every 20 s (10 s pause, 10 s of waiting).
class Silence {
 public:
  // The next probe is missed; meanwhile the engine used `processor`.
  bool miss(Duration processor) {
    now_ += seconds(20);
    used_ += processor;
    return liveness_.missed(now_, used_);
  }
  bool miss_unknown() {
    now_ += seconds(20);
    return liveness_.missed(now_, std::nullopt);
  }
  void answer() {
    now_ += seconds(10);
    liveness_.answered(now_);
  }
  // How many misses until it counts as hung, when it uses `processor` between two.
  int misses_until_hung(Duration processor) {
    int misses = 1;
    while (!miss(processor) && misses < 1000) ++misses;
    return misses;
  }
  [[nodiscard]] Duration length() const { return liveness_.silence(now_); }

 private:
  SteadyTime now_ = SteadyTime(std::chrono::hours(1));
  Duration used_ = seconds(7);
  Liveness liveness_{now_};
};

TEST(Liveness, TakesAnEngineThatDoesNothingForHungAtItsThirdMiss) {
  Silence engine;
  EXPECT_EQ(engine.misses_until_hung(seconds(0)), 3);
}

TEST(Liveness, CountsWhatItsHttpThreadsUseForProbesAsNothing) {
  Silence engine;
  EXPECT_EQ(engine.misses_until_hung(Duration(20)), 3);
}

TEST(Liveness, GivesAnEngineThatComputesFiveMinutes) {
  Silence engine;
  EXPECT_EQ(engine.misses_until_hung(seconds(19)), 15);
  EXPECT_EQ(engine.length(), std::chrono::minutes(5));
}

TEST(Liveness, EndsAnEngineThatComputedAndThenStopped) {
  Silence engine;
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(engine.miss(seconds(19)));
  EXPECT_FALSE(engine.miss(seconds(0)));
  EXPECT_TRUE(engine.miss(seconds(0)));
}

TEST(Liveness, ForgetsMissesOnceItIsAnswered) {
  Silence engine;
  EXPECT_FALSE(engine.miss(seconds(0)));
  EXPECT_FALSE(engine.miss(seconds(0)));
  engine.answer();
  EXPECT_EQ(engine.length(), Duration(0));
  EXPECT_FALSE(engine.miss(seconds(0)));
  EXPECT_FALSE(engine.miss(seconds(0)));
  EXPECT_TRUE(engine.miss(seconds(0)));
}

TEST(Liveness, TakesAnEndedChildForWork) {
  Silence engine;
  EXPECT_FALSE(engine.miss(seconds(0)));
  EXPECT_FALSE(engine.miss(seconds(0)));
  EXPECT_FALSE(engine.miss(seconds(-5)));
}

TEST(Liveness, GivesAnEngineWhoseWorkIsNotKnownTheLongerTime) {
  Silence engine;
  for (int i = 0; i < 14; ++i) EXPECT_FALSE(engine.miss_unknown());
  EXPECT_TRUE(engine.miss_unknown());
}

}  // namespace
}  // namespace berth::worker
