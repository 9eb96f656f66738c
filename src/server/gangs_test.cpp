#include "server/gangs.h"

#include "model/restarts.h"

#include <gtest/gtest.h>

namespace berth::server {
namespace {

using model::InstanceState;
using std::chrono::seconds;

// A gang of "main" on w1 and "rpc" on w2.
class Gangs : public ::testing::Test {
 protected:
  Gangs() {
    instance_.placement = model::Placement{.worker = "w1"};
    instance_.state = InstanceState::scheduled;
    instance_.gang =
        model::Gang{.max_failures = 2,
                    .members = {{.member = 0, .role = "main", .after = {"rpc"}, .worker = "w1"},
                                {.member = 1, .role = "rpc", .worker = "w2"}}};
    instance_.members.resize(2);
  }

  bool say(std::uint32_t member, InstanceState state, std::optional<int> pid = {},
           const std::string& reason = "") {
    cluster::InstanceReport report{.instance = "chat",
                                   .member = member,
                                   .state = state,
                                   .reason = reason,
                                   .port = static_cast<std::uint16_t>(1000 + member),
                                   .ports = {static_cast<std::uint16_t>(1000 + member)},
                                   .pid = pid,
                                   .attempt = instance_.gang->attempt};
    return take_member(instance_, report, now_);
  }
  void serve() {
    say(0, InstanceState::ready, 10);
    say(1, InstanceState::ready, 11);
  }

  model::Instance instance_;
  SystemTime now_ = SystemTime(std::chrono::hours(24 * 365 * 50));
};

TEST_F(Gangs, AreReadyOnceAllOfTheirMembersAre) {
  EXPECT_TRUE(say(0, InstanceState::starting));
  EXPECT_EQ(instance_.state, InstanceState::scheduled) << "the other one is not further";
  say(1, InstanceState::starting, 11);
  EXPECT_EQ(instance_.state, InstanceState::starting);
  EXPECT_EQ(instance_.gang->members[1].ports, std::vector<std::uint16_t>{1001});
  say(1, InstanceState::ready, 11);
  EXPECT_TRUE(instance_.gang->members[1].ready);
  EXPECT_EQ(instance_.state, InstanceState::starting);
  say(0, InstanceState::ready, 10);
  EXPECT_EQ(instance_.state, InstanceState::ready);
  EXPECT_EQ(instance_.port, 1000);
  EXPECT_FALSE(say(0, InstanceState::ready, 10)) << "nothing new";
}

TEST_F(Gangs, AreHaltedByTheEndOfAnyMember) {
  serve();
  say(1, InstanceState::restarting, {}, "its engine ended with exit code 4");
  EXPECT_TRUE(instance_.gang->halted);
  EXPECT_EQ(instance_.state, InstanceState::restarting);
  EXPECT_EQ(instance_.reason, "rpc on w2: its engine ended with exit code 4");
  EXPECT_EQ(instance_.failures, 1U);
  say(0, InstanceState::ready, 10);
  EXPECT_EQ(instance_.state, InstanceState::restarting) << "it has not heard of it yet";
}

TEST_F(Gangs, BeginAgainOnceNothingRunsAndThePauseIsOver) {
  serve();
  say(1, InstanceState::restarting);
  now_ += seconds(10);
  EXPECT_FALSE(begin_again(instance_, now_)) << "the main process still runs";
  EXPECT_EQ(pause_left(instance_, now_), std::nullopt) << "time alone changes nothing";
  say(0, InstanceState::restarting);
  EXPECT_EQ(instance_.failures, 1U) << "one failure, whoever ends for it";
  EXPECT_TRUE(begin_again(instance_, now_));
  EXPECT_EQ(instance_.gang->attempt, 2U);
  EXPECT_FALSE(instance_.gang->halted);
  EXPECT_TRUE(instance_.gang->members[0].ports.empty());
  EXPECT_FALSE(begin_again(instance_, now_));
  serve();
  EXPECT_EQ(instance_.state, InstanceState::ready);
  say(0, InstanceState::restarting);
  say(1, InstanceState::restarting);
  EXPECT_FALSE(begin_again(instance_, now_)) << "a pause that grows";
  EXPECT_EQ(pause_left(instance_, now_), model::restart_pause(2));
  EXPECT_TRUE(begin_again(instance_, now_ + seconds(1)));
}

TEST_F(Gangs, AReportOfAnEarlierAttemptHaltsNothing) {
  serve();
  say(1, InstanceState::restarting);
  say(0, InstanceState::restarting);
  ASSERT_TRUE(begin_again(instance_, now_ + seconds(1)));
  const cluster::InstanceReport late{
      .instance = "chat", .member = 1, .state = InstanceState::restarting, .attempt = 1};
  take_member(instance_, late, now_);
  EXPECT_FALSE(instance_.gang->halted);
  EXPECT_EQ(instance_.failures, 1U);
  serve();
  EXPECT_EQ(instance_.state, InstanceState::ready);
}

TEST_F(Gangs, AreGivenUpAfterTooManyFailuresInARow) {
  for (int i = 0; i < 3; ++i) {
    serve();
    say(1, InstanceState::restarting);
    say(0, InstanceState::restarting);
    now_ += seconds(30);
    begin_again(instance_, now_);
  }
  EXPECT_EQ(instance_.state, InstanceState::failed);
  EXPECT_TRUE(instance_.gang->halted);
  EXPECT_FALSE(begin_again(instance_, now_ + seconds(600)));
}

TEST_F(Gangs, FailuresCountFromZeroAfterAHealthyWhile) {
  for (int i = 0; i < 5; ++i) {
    serve();
    now_ += seconds(300);
    say(1, InstanceState::restarting);
    say(0, InstanceState::restarting);
    now_ += seconds(1);
    ASSERT_TRUE(begin_again(instance_, now_)) << i;
    EXPECT_EQ(instance_.failures, 1U);
  }
}

// Workers of these states.
model::ClusterView workers(model::WorkerState w1, model::WorkerState w2) {
  model::ClusterView view;
  view.add({.name = "w1", .state = w1});
  view.add({.name = "w2", .state = w2});
  return view;
}

TEST_F(Gangs, AreUnreachableUntilAllOfTheirMembersHaveReportedAgain) {
  serve();
  const auto silent = workers(model::WorkerState::ready, model::WorkerState::suspected);
  EXPECT_TRUE(lose_members(instance_, silent));
  EXPECT_FALSE(lose_members(instance_, silent)) << "none more";
  instance_.state = InstanceState::unreachable;
  say(0, InstanceState::ready, 10);
  EXPECT_EQ(instance_.state, InstanceState::unreachable) << "nobody knows how the other one is";
  say(1, InstanceState::ready, 11);
  EXPECT_EQ(instance_.state, InstanceState::ready);
}

TEST_F(Gangs, AMemberThatEndsWhileAnotherIsUnreachableHaltsThemOnceItIsBack) {
  serve();
  lose_members(instance_, workers(model::WorkerState::ready, model::WorkerState::lost));
  instance_.state = InstanceState::unreachable;
  say(0, InstanceState::restarting);
  EXPECT_TRUE(instance_.gang->halted);
  lose_members(instance_, workers(model::WorkerState::ready, model::WorkerState::lost));
  instance_.state = InstanceState::unreachable;
  EXPECT_FALSE(begin_again(instance_, now_ + seconds(1)));
  say(1, InstanceState::restarting);
  EXPECT_EQ(instance_.state, InstanceState::restarting);
  EXPECT_TRUE(begin_again(instance_, now_ + seconds(1)));
}

TEST_F(Gangs, AMemberThatCanNotHelpItselfGivesTheGangUpAtOnce) {
  say(1, InstanceState::failed, {}, "this worker has no backend named pair");
  EXPECT_EQ(instance_.state, InstanceState::failed);
}

}  // namespace
}  // namespace berth::server
