#include "server/rollout.h"

#include "server/test_world.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace berth::server {
namespace {

using model::InstanceState;
using model::RevisionOutcome;
using model::RolloutState;
using model::UpdatePolicy;
using testing::make_model;
using testing::World;

// A model "chat" that is edited as the API does it.
class Rollouts : public ::testing::Test {
 protected:
  void SetUp() override { world_.state().now = SystemTime(std::chrono::hours(24 * 365 * 50)); }

  void deploy(std::uint32_t replicas, UpdatePolicy policy = UpdatePolicy::automatic,
              Bytes layer = 1_MiB) {
    auto model = make_model("chat", replicas);
    model.profile.weights.layers = {layer, layer};
    model.deployment.update = policy;
    begin_revision(model, nullptr, world_.state().now);
    world_.put(model);
    serve();
  }
  void edit(const std::string& value) {
    auto wanted = model().deployment;
    wanted.env = {{"EDITED", value}};
    if (takes_back(model(), wanted)) return world_.put(take_back(model(), wanted, now()));
    auto after = model();
    const auto before = after;
    after.deployment = wanted;
    begin_revision(after, &before, now());
    take_edit_revision(after);
    world_.put(after);
  }
  void scale(std::uint32_t replicas) {
    auto after = model();
    after.deployment.replicas = replicas;
    world_.put(after);
  }
  // Until all are what they shall be; never fewer than `least` are ready.
  void serve(std::size_t least = 0) {
    for (int i = 0; i < 10; ++i) {
      world_.settle();
      EXPECT_GE(world_.count(InstanceState::ready), least);
      world_.obey();
    }
    world_.settle();
  }
  // The worker gives up the instances of the revision in force that are not ready.
  void fail_new() {
    world_.settle();
    for (const auto& one : world_.state().instances) {
      if (one.value.model_generation == model().generation &&
          one.value.state == InstanceState::scheduled) {
        world_.fail(one.name, "it ended with exit code 1 (no such flag)");
      }
    }
    world_.settle();
  }
  void pass(Duration time) {
    world_.state().now += std::chrono::duration_cast<SystemTime::duration>(time);
    world_.settle();
  }
  [[nodiscard]] SystemTime now() { return world_.state().now; }
  [[nodiscard]] const model::Model& model() { return world_.state().models.front().value; }
  [[nodiscard]] const model::Rollout& rollout() { return model().rollout; }
  [[nodiscard]] std::vector<std::string> names() {
    std::vector<std::string> names;
    for (const auto& one : world_.state().instances) names.push_back(one.name);
    std::ranges::sort(names);
    return names;
  }
  [[nodiscard]] std::vector<RevisionOutcome> outcomes() {
    std::vector<RevisionOutcome> found;
    for (const auto& one : model().revisions->items) found.push_back(one.outcome);
    return found;
  }

  World world_;
};

TEST_F(Rollouts, ARevisionThatServesIsComplete) {
  deploy(2);
  EXPECT_EQ(rollout().state, RolloutState::complete);
  EXPECT_EQ(model().ready_generation, 1U);
  edit("1");
  EXPECT_EQ(rollout().state, RolloutState::progressing);
  serve(2);
  EXPECT_EQ(rollout().state, RolloutState::complete);
  EXPECT_EQ(rollout().generation, 2U);
  EXPECT_EQ(model().ready_generation, 2U);
  EXPECT_FALSE(model().revisions->fallback);
  EXPECT_TRUE(world_.was_told("RolledOut"));
  EXPECT_EQ(outcomes(), (std::vector{RevisionOutcome::served, RevisionOutcome::served}));
}

TEST_F(Rollouts, AFailedRevisionIsRolledBackAndTheOldInstancesServeOn) {
  deploy(2);
  const auto before = names();
  const auto spec = model().deployment;
  edit("bad");
  fail_new();
  serve(2);
  EXPECT_EQ(names(), before);
  EXPECT_EQ(model().generation, 1U);
  EXPECT_EQ(to_json(model().deployment), to_json(spec));
  EXPECT_EQ(rollout().state, RolloutState::rolled_back);
  EXPECT_EQ(rollout().generation, 2U);
  EXPECT_NE(rollout().reason.find("no such flag"), std::string::npos) << rollout().reason;
  EXPECT_TRUE(world_.was_told("RolledBack"));
  EXPECT_EQ(outcomes(), (std::vector{RevisionOutcome::served, RevisionOutcome::failed}));
  pass(std::chrono::hours(5));
  EXPECT_EQ(names(), before) << "it is not tried again";
  edit("good");
  EXPECT_EQ(model().generation, 3U) << "no two revisions have one number";
  serve(2);
  EXPECT_EQ(rollout().state, RolloutState::complete);
}

TEST_F(Rollouts, TheFirstRevisionHasNothingToGoBackTo) {
  auto model = make_model("chat", 1);
  begin_revision(model, nullptr, now());
  world_.put(model);
  fail_new();
  EXPECT_EQ(rollout().state, RolloutState::failed);
  EXPECT_EQ(this->model().generation, 1U);
  EXPECT_EQ(world_.count(InstanceState::failed), 1U);
  EXPECT_TRUE(world_.was_told("RolloutFailed"));
}

TEST_F(Rollouts, WhatGetsNoFurtherIsRolledBackAtItsDeadline) {
  deploy(1);
  const auto before = names();
  edit("slow");
  world_.settle();
  pass(kProgressDeadline - std::chrono::seconds(1));
  EXPECT_EQ(rollout().state, RolloutState::progressing);
  pass(std::chrono::seconds(1));
  serve(1);
  EXPECT_EQ(rollout().state, RolloutState::rolled_back);
  EXPECT_EQ(names(), before);
}

TEST_F(Rollouts, FetchingCountsForNoDeadline) {
  deploy(1);
  edit("far away");
  world_.settle();
  const auto set = [&](InstanceState state) {
    for (auto& one : world_.state().instances) {
      if (one.value.model_generation == 2) one.value.state = state;
    }
    world_.settle();
  };
  set(InstanceState::downloading);
  pass(std::chrono::hours(9));
  EXPECT_EQ(rollout().state, RolloutState::progressing);
  set(InstanceState::starting);
  pass(kProgressDeadline - std::chrono::seconds(1));
  EXPECT_EQ(rollout().state, RolloutState::progressing);
  pass(std::chrono::seconds(1));
  EXPECT_EQ(rollout().state, RolloutState::rolled_back);
}

TEST_F(Rollouts, WhileAWorkerHasNotSpokenNoTimeIsOver) {
  deploy(1);
  edit("1");
  world_.settle();
  const auto heard = std::exchange(world_.state().progress, {});
  pass(std::chrono::hours(9));
  EXPECT_EQ(rollout().state, RolloutState::progressing) << "the server was away";
  world_.state().progress = heard;
  pass(std::chrono::minutes(1));
  EXPECT_EQ(rollout().state, RolloutState::progressing) << "it counts anew";
  serve(1);
  EXPECT_EQ(rollout().state, RolloutState::complete);
}

TEST_F(Rollouts, WithoutRoomForBothTheOldOneGoesAndItIsSaidForHowLong) {
  deploy(1, UpdatePolicy::automatic, 5_GiB);
  edit("1");
  world_.settle();
  EXPECT_EQ(world_.count(InstanceState::ready), 0U);
  EXPECT_NE(rollout().reason.find("at most for 30"), std::string::npos) << rollout().reason;
  EXPECT_FALSE(rollout().fewer_since.empty());
  EXPECT_TRUE(world_.was_told("ServesFewer"));
  serve();
  EXPECT_TRUE(world_.was_told("ServesAgain"));
  EXPECT_TRUE(rollout().fewer_since.empty());
  EXPECT_EQ(rollout().state, RolloutState::complete);
}

TEST_F(Rollouts, NothingEndsForOneThatFitsNowhere) {
  deploy(1);
  auto before = model();
  auto after = before;
  after.deployment.env = {{"EDITED", "1"}};
  after.profile.weights.layers = {20_GiB, 20_GiB};
  begin_revision(after, &before, now());
  world_.put(after);
  serve(1);
  EXPECT_EQ(world_.count(InstanceState::pending), 1U);
  pass(kProgressDeadline);
  serve(1);
  EXPECT_EQ(rollout().state, RolloutState::rolled_back);
  EXPECT_NE(rollout().reason.find("GiB"), std::string::npos) << rollout().reason;
  EXPECT_EQ(model().profile.weights.layers, before.profile.weights.layers);
}

TEST_F(Rollouts, NewFirstWaitsForRoomAndIsRolledBack) {
  deploy(1, UpdatePolicy::new_first, 5_GiB);
  edit("1");
  serve(1);
  EXPECT_EQ(rollout().state, RolloutState::progressing);
  pass(kProgressDeadline);
  serve(1);
  EXPECT_EQ(rollout().state, RolloutState::rolled_back);
}

TEST_F(Rollouts, ReplaceEndsOneBeforeItMakesOne) {
  deploy(3, UpdatePolicy::replace);
  edit("1");
  for (int i = 0; i < 12; ++i) {
    world_.settle();
    EXPECT_GE(world_.count(InstanceState::ready), 2U);
    EXPECT_LE(world_.state().instances.size(), 3U);
    world_.obey();
  }
  EXPECT_EQ(rollout().state, RolloutState::complete);
  EXPECT_EQ(world_.count(InstanceState::ready), 3U);
}

TEST_F(Rollouts, AReplacedInstanceComesBackWhenItsSuccessorFails) {
  deploy(1, UpdatePolicy::replace);
  edit("bad");
  world_.settle();
  world_.obey();
  fail_new();
  EXPECT_EQ(rollout().state, RolloutState::rolled_back);
  serve();
  ASSERT_EQ(world_.count(InstanceState::ready), 1U);
  EXPECT_EQ(world_.state().instances.front().value.model_generation, 1U);
  EXPECT_TRUE(world_.state().assignments.front().value.deployment.env.empty());
}

TEST_F(Rollouts, AThirdEditIsRolledBackToTheFirst) {
  deploy(1);
  const auto before = names();
  edit("second");
  world_.settle();
  edit("third");
  fail_new();
  serve(1);
  EXPECT_EQ(names(), before);
  EXPECT_EQ(model().generation, 1U);
  EXPECT_EQ(outcomes(), (std::vector{RevisionOutcome::served, RevisionOutcome::replaced,
                                     RevisionOutcome::failed}));
}

TEST_F(Rollouts, AnEditBackTakesTheRolloutBack) {
  deploy(1);
  auto first = model().deployment;
  const auto before = names();
  edit("second");
  world_.settle();
  ASSERT_TRUE(takes_back(model(), first));
  world_.put(take_back(model(), first, now()));
  serve(1);
  EXPECT_EQ(names(), before);
  EXPECT_EQ(rollout().state, RolloutState::complete);
}

TEST_F(Rollouts, ScaledToNothingItRestsAndGoesOnWhenItIsScaledUp) {
  deploy(1);
  edit("bad");
  world_.settle();
  scale(0);
  serve();
  EXPECT_EQ(rollout().state, RolloutState::complete);
  EXPECT_EQ(model().ready_generation, 1U);
  pass(std::chrono::hours(9));
  scale(2);
  fail_new();
  serve();
  EXPECT_EQ(rollout().state, RolloutState::rolled_back);
  EXPECT_EQ(world_.count(InstanceState::ready), 2U) << "replicas are the user's wish";
}

TEST_F(Rollouts, ADocumentOfAnEarlierVersionIsTakenUp) {
  auto old = make_model("chat", 1);
  old.generation = 7;
  world_.put(old);
  serve();
  EXPECT_EQ(rollout().state, RolloutState::complete);
  edit("bad");
  EXPECT_EQ(model().generation, 8U);
  fail_new();
  serve();
  EXPECT_EQ(model().generation, 7U);
}

TEST_F(Rollouts, AnUndoGoesToTheLastThatServedAndKeepsTheUsersWishes) {
  deploy(1);
  EXPECT_EQ(undo_target(model(), std::nullopt).error().code, ErrorCode::conflict);
  edit("good");
  serve(1);
  scale(2);
  edit("bad");
  fail_new();
  edit("worse");
  const auto last = undo_target(model(), std::nullopt).value();
  EXPECT_EQ(last.env.at("EDITED"), "good");
  EXPECT_EQ(last.replicas, 2U);
  EXPECT_TRUE(undo_target(model(), 1)->env.empty());
  EXPECT_EQ(undo_target(model(), 3)->env.at("EDITED"), "bad");
  EXPECT_EQ(undo_target(model(), 9).error().field, "to");
}

TEST_F(Rollouts, ConditionsDoNotCountAsEdits) {
  deploy(1);
  edit("1");
  const auto stored = [&] { return world_.state().models.front().revision; };
  const auto edited = stored();
  serve(1);
  EXPECT_GT(stored(), edited);
  EXPECT_EQ(edit_revision(model(), stored()), edited);
  edit("bad");
  fail_new();
  EXPECT_EQ(edit_revision(model(), stored()), stored()) << "what was rolled back is another text";
}

TEST_F(Rollouts, TheHistoryIsBounded) {
  deploy(1);
  for (int i = 0; i < 30; ++i) edit(std::to_string(i));
  EXPECT_EQ(model().revisions->items.size(), kKeptRevisions);
  EXPECT_EQ(model().revisions->items.front().generation, 1U) << "it may be gone back to";
  EXPECT_EQ(model().revisions->items.back().generation, 31U);
  auto huge = model();
  const auto before = huge;
  huge.deployment.env = {{"HUGE", std::string(200'000, 'x')}};
  begin_revision(huge, &before, now());
  world_.put(huge);
  edit("small");
  edit("smaller");
  EXPECT_LT(json::serialize(to_json(model())).size(), 300'000U);
}

}  // namespace
}  // namespace berth::server
