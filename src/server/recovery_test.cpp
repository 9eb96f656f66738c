// What reconcile does about workers that are silent, come back, are emptied or removed.
#include "server/reconcile.h"
#include "server/test_world.h"

#include <gtest/gtest.h>

namespace berth::server {
namespace {

using model::InstanceState;
using model::Scheduling;
using model::WorkerState;
using testing::make_model;
using testing::make_worker;
using testing::World;

// Two workers, and `replicas` instances of "chat" that serve.
class Recovery : public ::testing::Test {
 protected:
  void serve(std::uint32_t replicas) {
    world_.state().view.add(make_worker("w2"));
    world_.put(make_model("chat", replicas));
    world_.settle();
    world_.obey();
    ASSERT_EQ(world_.count(InstanceState::ready), replicas);
  }
  [[nodiscard]] const model::Instance& instance_on(const std::string& worker) {
    for (const auto& one : world_.state().instances) {
      if (one.value.placement && one.value.placement->worker == worker) return one.value;
    }
    ADD_FAILURE() << "nothing is on " << worker;
    static const model::Instance kNone;
    return kNone;
  }
  [[nodiscard]] std::size_t assignments_of(const std::string& worker) {
    return static_cast<std::size_t>(std::ranges::count_if(
        world_.state().assignments, [&](const auto& one) { return one.value.worker == worker; }));
  }

  World world_;
};

TEST_F(Recovery, InstancesOfASuspectedWorkerAreUnreachableAndStay) {
  serve(2);
  const auto before = instance_on("w2");
  world_.fall_silent("w2", WorkerState::suspected);
  world_.settle();
  EXPECT_EQ(world_.count(InstanceState::ready), 1U);
  EXPECT_EQ(instance_on("w2").state, InstanceState::unreachable);
  EXPECT_NE(instance_on("w2").reason.find("not heard since noon"), std::string::npos);
  EXPECT_EQ(assignments_of("w2"), 1U);
  world_.set_worker("w2", [](model::WorkerView& worker) { worker.reason = "the port is closed"; });
  world_.settle();
  EXPECT_NE(instance_on("w2").reason.find("the port is closed"), std::string::npos);
  world_.speak_again("w2");
  world_.settle();
  EXPECT_EQ(world_.count(InstanceState::ready), 2U);
  EXPECT_EQ(instance_on("w2").name, before.name);
  EXPECT_EQ(instance_on("w2").generation, before.generation);
}

TEST_F(Recovery, WhatFailedTooOftenOnItsWorkerIsTriedOnAnother) {
  serve(1);
  const auto before = world_.state().instances.front();
  world_.fail(before.name, "no such flag");
  world_.settle();
  const auto after = world_.state().instances.front();
  EXPECT_EQ(after.value.state, InstanceState::scheduled);
  EXPECT_NE(after.value.placement->worker, before.value.placement->worker);
  EXPECT_EQ(after.value.generation, before.value.generation + 1);
  EXPECT_EQ(after.value.given_up_on, std::vector{before.value.placement->worker});
  EXPECT_EQ(after.value.failures, 0U);
  world_.obey();
  world_.fail(before.name, "no such flag");
  world_.settle();
  EXPECT_EQ(world_.count(InstanceState::failed), 1U) << "it was tried on both";
  world_.state().view.add(make_worker("w3"));
  world_.state().view.add(make_worker("w4"));
  world_.settle();
  EXPECT_EQ(world_.state().instances.front().value.placement->worker, "w3");
  world_.obey();
  world_.fail(before.name, "no such flag");
  world_.settle();
  EXPECT_EQ(world_.count(InstanceState::failed), 1U) << "on three workers: that is enough";
}

TEST_F(Recovery, WhatIsNotToBeRestartedIsNotMoved) {
  world_.state().view.add(make_worker("w2"));
  auto model = make_model("chat", 1);
  model.deployment.restart.policy = model::RestartPolicy::never;
  world_.put(model);
  world_.settle();
  world_.obey();
  world_.fail(world_.state().instances.front().name, "it ended");
  world_.settle();
  EXPECT_EQ(world_.count(InstanceState::failed), 1U);
}

TEST_F(Recovery, InstancesOfALostWorkerArePlacedElsewhereUnderANewGeneration) {
  serve(2);
  const auto before = instance_on("w2");
  world_.fall_silent("w2", WorkerState::lost, true);
  world_.settle();
  world_.obey();
  EXPECT_EQ(world_.count(InstanceState::ready), 2U);
  EXPECT_EQ(assignments_of("w1"), 2U);
  EXPECT_EQ(assignments_of("w2"), 0U) << "the worker ends its engine when it comes back";
  const auto moved = std::ranges::find_if(world_.state().instances,
                                          [&](const auto& one) { return one.name == before.name; });
  ASSERT_NE(moved, world_.state().instances.end());
  EXPECT_EQ(moved->value.generation, before.generation + 1);
  world_.speak_again("w2");
  world_.settle();
  EXPECT_EQ(world_.state().instances.size(), 2U) << "never two owners";
  EXPECT_TRUE(world_.was_told("Moving"));
}

TEST_F(Recovery, WithoutRoomElsewhereAnInstanceStaysAndIsAdoptedWhenItsWorkerReturns) {
  world_.put(make_model("chat", 1));
  world_.settle();
  world_.obey();
  const auto before = instance_on("w1");
  auto small = make_worker("w2");
  small.devices[0].device.memory = 1_MiB;
  world_.state().view.add(small);
  world_.fall_silent("w1", WorkerState::lost, true);
  world_.settle();
  EXPECT_EQ(instance_on("w1").state, InstanceState::unreachable);
  EXPECT_NE(instance_on("w1").reason.find("nothing else can take it"), std::string::npos);
  EXPECT_EQ(assignments_of("w1"), 1U);
  world_.speak_again("w1");
  world_.settle();
  EXPECT_EQ(instance_on("w1").state, InstanceState::ready);
  EXPECT_EQ(instance_on("w1").generation, before.generation);
}

TEST_F(Recovery, WhileMostWorkersAreLostNothingMovesAndTheReasonSaysSo) {
  serve(2);
  world_.fall_silent("w2", WorkerState::lost);
  world_.state().held_until = SystemTime(std::chrono::hours(24 * 365 * 50));
  world_.settle();
  EXPECT_EQ(instance_on("w2").state, InstanceState::unreachable);
  EXPECT_NE(instance_on("w2").reason.find("most workers are lost at once"), std::string::npos);
  world_.state().held_until.reset();
  world_.state().given_up.insert("w2");
  world_.settle();
  EXPECT_EQ(assignments_of("w1"), 2U);
}

TEST_F(Recovery, AnInstanceOfARemovedWorkerWaitsForAPlaceAnew) {
  serve(1);
  const std::string on = world_.state().instances[0].value.placement->worker;
  world_.fall_silent(on, WorkerState::lost);
  world_.settle();
  EXPECT_EQ(world_.count(InstanceState::unreachable), 1U);
  model::ClusterView left;
  left.add(make_worker(on == "w1" ? "w2" : "w1"));
  world_.state().view = left;
  world_.settle();
  world_.obey();
  EXPECT_EQ(world_.count(InstanceState::ready), 1U);
  EXPECT_NE(world_.state().instances[0].value.placement->worker, on);
}

TEST_F(Recovery, AModelIsRemovedAlthoughTheWorkerOfItsInstanceIsLost) {
  serve(2);
  world_.fall_silent("w2", WorkerState::lost);
  auto model = make_model("chat", 2);
  model.deleting = true;
  world_.put(model);
  world_.settle();
  world_.obey();
  world_.settle();
  EXPECT_TRUE(world_.state().models.empty());
  EXPECT_TRUE(world_.state().assignments.empty());
}

TEST_F(Recovery, NothingIsPlacedOnACordonedWorkerAndWhatIsThereStays) {
  serve(2);
  world_.set_worker("w2", [](auto& worker) { worker.scheduling = Scheduling::cordoned; });
  world_.put(make_model("chat", 4));
  world_.settle();
  world_.obey();
  EXPECT_EQ(assignments_of("w1"), 3U);
  EXPECT_EQ(assignments_of("w2"), 1U);
  EXPECT_TRUE(world_.drained().empty());
}

TEST_F(Recovery, ADrainBringsTheNewInstanceFirst) {
  serve(2);
  world_.set_worker("w2", [](auto& worker) { worker.scheduling = Scheduling::draining; });
  world_.settle();
  EXPECT_EQ(world_.count(InstanceState::ready), 2U) << "the old one serves until the new one does";
  EXPECT_EQ(world_.count(InstanceState::scheduled), 1U);
  EXPECT_TRUE(world_.drained().empty());
  world_.obey();
  world_.settle();
  EXPECT_EQ(world_.count(InstanceState::stopping), 1U);
  EXPECT_TRUE(world_.state().assignments.size() == 3U) << "it drains: its requests are answered";
  world_.obey();
  world_.settle();
  EXPECT_EQ(assignments_of("w2"), 0U);
  EXPECT_EQ(world_.count(InstanceState::ready), 2U);
  EXPECT_EQ(world_.drained(), std::vector<std::string>{"w2"});
}

TEST_F(Recovery, ADrainWithoutRoomElsewhereEndsTheInstanceAndItWaits) {
  world_.put(make_model("chat", 1));
  world_.settle();
  world_.obey();
  world_.set_worker("w1", [](auto& worker) { worker.scheduling = Scheduling::draining; });
  for (int i = 0; i < 3; ++i) {
    world_.settle();
    world_.obey();
  }
  ASSERT_EQ(world_.state().instances.size(), 1U);
  EXPECT_EQ(world_.count(InstanceState::pending), 1U);
  EXPECT_NE(world_.state().instances[0].value.reason.find("cordoned"), std::string::npos);
  EXPECT_EQ(world_.drained(), std::vector<std::string>{"w1"});
}

TEST_F(Recovery, ADrainedWorkerThatIsOpenedTakesInstancesAgain) {
  serve(1);
  world_.set_worker("w1", [](auto& worker) { worker.scheduling = Scheduling::drained; });
  world_.set_worker("w2", [](auto& worker) { worker.scheduling = Scheduling::drained; });
  world_.put(make_model("chat", 2));
  world_.settle();
  EXPECT_GE(world_.count(InstanceState::pending), 1U);
  world_.set_worker("w1", [](auto& worker) { worker.scheduling = Scheduling::open; });
  world_.set_worker("w2", [](auto& worker) { worker.scheduling = Scheduling::open; });
  for (int i = 0; i < 3; ++i) {
    world_.settle();
    world_.obey();
  }
  EXPECT_EQ(world_.count(InstanceState::ready), 2U);
}

}  // namespace
}  // namespace berth::server
