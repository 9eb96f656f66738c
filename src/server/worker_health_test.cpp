#include "server/worker_health.h"

#include <gtest/gtest.h>

namespace berth::server {
namespace {

using model::WorkerState;
using std::chrono::minutes;
using std::chrono::seconds;

// Workers that report every five seconds until they are silenced; the server looks each second.
class Health : public ::testing::Test {
 protected:
  void add(int count) {
    for (int i = 0; i < count; ++i) {
      const std::string name = "w" + std::to_string(workers_.size() + 1);
      workers_[name] = {.name = name, .state = WorkerState::ready, .heard = now_, .reports = true};
    }
  }
  void silence(std::initializer_list<const char*> names) {
    for (const auto* name : names) silent_.insert(name);
  }
  void pass(seconds time) {
    for (seconds i{0}; i < time; i += seconds(1)) {
      now_ += seconds(1);
      look();
    }
  }
  void look() {
    std::vector<WorkerHealth::Seen> seen;
    for (auto& [name, worker] : workers_) {
      const bool speaks = !silent_.contains(name);
      if (speaks && (!worker.heard || now_ - *worker.heard >= seconds(5))) {
        worker.heard = now_;
        worker.reports = true;
      }
      seen.push_back(worker);
    }
    for (const auto& verdict : health_.look(seen, now_)) {
      workers_[verdict.name].state = verdict.state;
      verdicts_[verdict.name] = verdict;
    }
  }
  [[nodiscard]] WorkerState state(const std::string& name) { return verdicts_[name].state; }
  [[nodiscard]] std::size_t given_up() const {
    return static_cast<std::size_t>(
        std::ranges::count_if(verdicts_, [](const auto& one) { return one.second.given_up; }));
  }

  SteadyTime now_ = SteadyTime(std::chrono::hours(1));
  WorkerHealth health_{HealthPolicy{}};
  std::map<std::string, WorkerHealth::Seen> workers_;
  std::map<std::string, WorkerHealth::Verdict> verdicts_;
  std::set<std::string> silent_;
};

TEST_F(Health, ASilentWorkerIsSuspectedBeforeItIsLost) {
  add(2);
  pass(seconds(10));
  silence({"w1"});
  pass(seconds(14));
  EXPECT_EQ(state("w1"), WorkerState::ready);
  pass(seconds(6));
  EXPECT_EQ(state("w1"), WorkerState::suspected);
  EXPECT_EQ(given_up(), 0U);
  pass(seconds(40));
  EXPECT_EQ(state("w1"), WorkerState::lost);
  EXPECT_EQ(given_up(), 1U);
  EXPECT_EQ(state("w2"), WorkerState::ready);
  silent_.clear();
  pass(seconds(1));
  EXPECT_EQ(state("w1"), WorkerState::ready);
  EXPECT_EQ(given_up(), 0U);
}

TEST_F(Health, AWorkerThatHasJustRegisteredIsNotReadyUntilItReports) {
  add(1);
  look();
  workers_["w1"].reports = false;
  silence({"w1"});
  look();
  EXPECT_EQ(state("w1"), WorkerState::not_ready);
}

TEST_F(Health, TheTimeInWhichTheServerItselfStoodStillDoesNotCount) {
  add(2);
  pass(seconds(10));
  now_ += minutes(30);
  silence({"w1", "w2"});  // their reports come a moment later
  look();
  EXPECT_EQ(state("w1"), WorkerState::ready);
  silent_.clear();
  pass(seconds(5));
  EXPECT_EQ(state("w1"), WorkerState::ready);
  EXPECT_EQ(given_up(), 0U);
}

TEST_F(Health, AfterARestartWorkersHaveAsLongAsEverToReportAgain) {
  add(3);
  workers_["w3"].state = WorkerState::lost;
  for (auto& [name, worker] : workers_) {
    worker.heard.reset();
    worker.reports = false;
  }
  silence({"w1", "w2", "w3"});
  look();
  EXPECT_EQ(state("w1"), WorkerState::not_ready);
  EXPECT_EQ(state("w3"), WorkerState::lost) << "as it was judged before";
  EXPECT_EQ(given_up(), 0U);
  silent_ = {"w2", "w3"};
  pass(seconds(20));
  EXPECT_EQ(state("w1"), WorkerState::ready);
  EXPECT_EQ(state("w2"), WorkerState::suspected);
  EXPECT_EQ(given_up(), 0U);
  pass(seconds(40));
  EXPECT_EQ(given_up(), 2U);
}

TEST_F(Health, FlappingEveryThreeSecondsSuspectsNobody) {
  add(2);
  for (int i = 0; i < 40; ++i) {
    silence({"w1"});
    pass(seconds(3));
    EXPECT_EQ(state("w1"), WorkerState::ready);
    silent_.clear();
    pass(seconds(3));
  }
}

TEST_F(Health, WhenMostAreLostAtOnceNothingIsMovedForAWhile) {
  add(5);
  pass(seconds(10));
  silence({"w1", "w2", "w3"});
  pass(seconds(61));
  EXPECT_EQ(state("w1"), WorkerState::lost);
  EXPECT_EQ(given_up(), 0U);
  ASSERT_TRUE(health_.hold_left());
  EXPECT_EQ(health_.hold_for().gone, 3U);
  EXPECT_EQ(health_.hold_for().all, 5U);
  silent_.erase("w3");
  pass(minutes(9));
  EXPECT_EQ(given_up(), 0U);
  pass(minutes(1));
  EXPECT_FALSE(health_.hold_left());
  EXPECT_EQ(given_up(), 2U);
}

TEST_F(Health, TheFirstOfManyIsNotMovedBeforeTheOthersAreLostToo) {
  add(4);
  pass(seconds(10));
  silence({"w1"});
  pass(seconds(20));
  silence({"w2", "w3"});
  pass(seconds(45));
  EXPECT_EQ(state("w1"), WorkerState::lost);
  EXPECT_EQ(state("w2"), WorkerState::suspected);
  EXPECT_EQ(given_up(), 0U);
  pass(seconds(30));
  EXPECT_TRUE(health_.hold_left());
}

TEST_F(Health, ALossOfFewIsNoMassLoss) {
  add(3);
  pass(seconds(10));
  silence({"w1", "w2", "w3"});
  pass(seconds(70));
  EXPECT_FALSE(health_.hold_left()) << "of three there is no brake";
  EXPECT_EQ(given_up(), 3U);
}

TEST_F(Health, ThoseThatWereLostLongAgoDoNotHideAMassLoss) {
  add(10);
  pass(seconds(10));
  silence({"w1", "w2", "w3"});
  pass(minutes(5));
  silence({"w4"});
  pass(minutes(5));
  silence({"w5", "w6"});
  pass(minutes(5));
  EXPECT_EQ(given_up(), 6U);
  silence({"w7", "w8", "w9"});
  pass(seconds(70));
  EXPECT_TRUE(health_.hold_left());
  EXPECT_EQ(given_up(), 6U);
}

TEST_F(Health, WithoutAHoldEveryLossIsActedOn) {
  health_ = WorkerHealth({.mass_loss_hold = seconds(0)});
  add(5);
  pass(seconds(10));
  silence({"w1", "w2", "w3", "w4", "w5"});
  pass(seconds(70));
  EXPECT_EQ(given_up(), 5U);
}

TEST_F(Health, TheNextLookIsWhenAWorkerWouldBeSuspected) {
  add(1);
  look();
  EXPECT_EQ(health_.next_look(minutes(5)), seconds(20));
  EXPECT_EQ(health_.next_look(seconds(5)), seconds(5));
  silence({"w1"});
  pass(seconds(15));
  EXPECT_EQ(health_.next_look(minutes(5)), seconds(5));
}

}  // namespace
}  // namespace berth::server
