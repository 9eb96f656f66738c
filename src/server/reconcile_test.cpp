#include "server/reconcile.h"

#include "server/test_world.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace berth::server {
namespace {

using model::InstanceState;
using testing::make_model;
using testing::make_worker;
using testing::World;

TEST(Reconcile, MakesAndPlacesAsManyInstancesAsReplicas) {
  World world;
  world.put(make_model("chat", 2));
  world.settle();
  EXPECT_EQ(world.count(InstanceState::scheduled), 2U);
  ASSERT_EQ(world.state().assignments.size(), 2U);
  const auto& assignment = world.state().assignments[0].value;
  EXPECT_EQ(assignment.worker, "w1");
  EXPECT_EQ(assignment.backend, "llama-box");
  EXPECT_EQ(assignment.engine_key, "key");
  EXPECT_EQ(assignment.placement.pack, "xllamacpp");
}

TEST(Reconcile, ScalingDownEndsTheOnesThatDoNotServe) {
  World world;
  world.put(make_model("chat", 1));
  world.settle();
  world.obey();
  const std::string serving = world.state().instances[0].name;
  world.put(make_model("chat", 3));
  world.settle();
  world.put(make_model("chat", 1));
  world.settle();
  world.obey();
  world.settle();
  ASSERT_EQ(world.state().instances.size(), 1U);
  EXPECT_EQ(world.state().instances[0].name, serving);
  EXPECT_EQ(world.state().assignments.size(), 1U);
}

TEST(Reconcile, AStoppingInstanceStaysUntilItsWorkerSaysItIsGone) {
  World world;
  world.put(make_model("chat", 1));
  world.settle();
  world.obey();
  world.put(make_model("chat", 0));
  world.settle();
  EXPECT_EQ(world.count(InstanceState::stopping), 1U);
  EXPECT_TRUE(world.state().assignments.empty());
  world.settle();
  EXPECT_EQ(world.count(InstanceState::stopping), 1U);
  world.obey();
  world.settle();
  EXPECT_TRUE(world.state().instances.empty());
}

TEST(Reconcile, ARemovedModelGoesWhenItsInstancesHaveGone) {
  World world;
  auto model = make_model("chat", 2);
  world.put(model);
  world.settle();
  world.obey();
  model.deleting = true;
  world.put(model);
  world.settle();
  EXPECT_EQ(world.state().models.size(), 1U);
  world.obey();
  world.settle();
  EXPECT_TRUE(world.state().models.empty());
  EXPECT_TRUE(world.state().instances.empty());
  EXPECT_TRUE(world.state().assignments.empty());
}

TEST(Reconcile, AModelWithoutRoomWaitsAndSaysWhy) {
  World world;
  auto model = make_model("big", 1);
  model.profile.weights.layers = {20_GiB, 20_GiB};
  world.put(model);
  world.settle();
  ASSERT_EQ(world.count(InstanceState::pending), 1U);
  const auto& reason = world.state().instances[0].value.reason;
  EXPECT_NE(reason.find("GiB"), std::string::npos) << reason;
}

TEST(Reconcile, FreedMemoryGoesToTheOneThatWaits) {
  World world;
  auto first = make_model("first", 1);
  first.profile.weights.layers = {5_GiB, 5_GiB};
  auto second = first;
  second.deployment.name = "second";
  world.put(first);
  world.settle();
  world.obey();
  world.put(second);
  world.settle();
  EXPECT_EQ(world.count(InstanceState::pending), 1U);
  first.deployment.replicas = 0;
  world.put(first);
  world.settle();
  EXPECT_EQ(world.count(InstanceState::pending), 1U) << "memory is held until the engine has ended";
  world.obey();
  world.settle();
  EXPECT_EQ(world.count(InstanceState::scheduled), 1U);
}

TEST(Reconcile, AnEditBringsTheNewOneFirst) {
  World world;
  auto model = make_model("chat", 1);
  world.put(model);
  world.settle();
  world.obey();
  model.generation = 2;
  model.deployment.parameters = {"--ctx-size", "1024"};
  world.put(model);
  world.settle();
  EXPECT_EQ(world.count(InstanceState::ready), 1U);
  EXPECT_EQ(world.count(InstanceState::scheduled), 1U);
  world.obey();
  world.settle();
  world.obey();
  world.settle();
  ASSERT_EQ(world.state().instances.size(), 1U);
  EXPECT_EQ(world.state().instances[0].value.model_generation, 2U);
}

TEST(Reconcile, AnEditWithoutRoomReplacesTheOldOne) {
  World world;
  auto model = make_model("chat", 1);
  model.profile.weights.layers = {5_GiB, 5_GiB};
  world.put(model);
  world.settle();
  world.obey();
  model.generation = 2;
  world.put(model);
  world.settle();
  world.obey();
  world.settle();
  world.obey();
  world.settle();
  ASSERT_EQ(world.state().instances.size(), 1U);
  EXPECT_EQ(world.state().instances[0].value.model_generation, 2U);
  EXPECT_EQ(world.count(InstanceState::ready), 1U);
}

TEST(Reconcile, AnInstanceThatServesIsDrainedWhenItIsScaledAway) {
  World world;
  world.put(make_model("chat", 2));
  world.settle();
  world.obey();
  world.put(make_model("chat", 1));
  world.settle();
  EXPECT_EQ(world.count(InstanceState::stopping), 1U);
  ASSERT_EQ(world.state().assignments.size(), 2U) << "its requests are still being answered";
  EXPECT_EQ(std::ranges::count_if(world.state().assignments,
                                  [](const auto& item) { return item.value.drain; }),
            1);
  world.obey();
  world.settle();
  EXPECT_EQ(world.state().instances.size(), 1U);
  EXPECT_EQ(world.state().assignments.size(), 1U);
}

TEST(Reconcile, AnEditDrainsTheOldOneOnceTheNewOneServes) {
  World world;
  auto model = make_model("chat", 1);
  world.put(model);
  world.settle();
  world.obey();
  model.generation = 2;
  world.put(model);
  world.settle();
  for (const auto& item : world.state().assignments) EXPECT_FALSE(item.value.drain);
  world.obey();
  world.settle();
  ASSERT_EQ(world.state().assignments.size(), 2U);
  EXPECT_TRUE(world.state().assignments[0].value.drain != world.state().assignments[1].value.drain);
  EXPECT_EQ(world.count(InstanceState::ready), 1U);
}

TEST(Reconcile, WhatIsBeingDrainedEndsAtOnceWhenTheModelIsRemovedOrStopped) {
  for (const bool removed : {true, false}) {
    World world;
    auto model = make_model("chat", 2);
    world.put(model);
    world.settle();
    world.obey();
    model.deployment.replicas = 1;
    world.put(model);
    world.settle();
    ASSERT_EQ(world.state().assignments.size(), 2U);
    model.deleting = removed;
    model.deployment.replicas = removed ? 1 : 0;
    world.put(model);
    world.settle();
    EXPECT_TRUE(world.state().assignments.empty()) << removed;
    world.obey();
    world.settle();
    EXPECT_TRUE(world.state().instances.empty()) << removed;
  }
}

TEST(Reconcile, KeepsWhatANewerVersionWroteIntoADocument) {
  World world;
  world.put(make_model("chat", 2));
  world.settle();
  world.obey();
  auto& state = world.state();
  for (const auto& item : state.instances) {
    auto document = store::to_data(item.value);
    document["of_tomorrow"] = 7;
    state.instance_documents[item.name] = std::move(document);
  }
  for (const auto& item : state.assignments) {
    auto document = store::to_data(item.value);
    document["of_tomorrow"] = 8;
    state.assignment_documents[item.name] = std::move(document);
  }
  auto model = state.models.front().value;
  model.deployment.replicas = 1;
  world.put(model);
  state.model_documents["chat"] = store::to_data(model);
  state.model_documents["chat"]["of_tomorrow"] = 9;
  const Randomness random{.new_id = [] { return std::string("x"); },
                          .new_key = [] { return std::string("key"); }};
  const auto decision = reconcile(state, backends::builtin_backends(), random);
  ASSERT_EQ(decision.writes.size(), 3U);
  EXPECT_EQ(decision.writes[0].data->at("state"), "stopping");
  EXPECT_EQ(decision.writes[0].data->at("of_tomorrow"), 7);
  EXPECT_EQ(decision.writes[1].data->at("ready_generation"), 1);
  EXPECT_EQ(decision.writes[1].data->at("of_tomorrow"), 9);
  EXPECT_EQ(decision.writes[2].data->at("drain"), true);
  EXPECT_EQ(decision.writes[2].data->at("of_tomorrow"), 8);
}

TEST(Reconcile, DecidesTheSameWhenTheClockIsSetBack) {
  World world;
  world.state().now = SystemTime(std::chrono::hours(24 * 365 * 50));
  world.put(make_model("chat", 1));
  world.settle();
  world.obey();
  world.state().now = SystemTime(std::chrono::hours(24 * 365 * 20));
  world.settle();
  EXPECT_EQ(world.count(InstanceState::ready), 1U);
  world.put(make_model("chat", 2));
  world.settle();
  world.obey();
  EXPECT_EQ(world.count(InstanceState::ready), 2U);
  world.put(make_model("chat", 1));
  world.settle();
  world.obey();
  world.settle();
  EXPECT_EQ(world.state().instances.size(), 1U);
}

TEST(Reconcile, AnInstanceWithoutItsModelIsEnded) {
  World world;
  world.put(make_model("chat", 1));
  world.settle();
  world.state().models.clear();
  world.settle();
  EXPECT_EQ(world.count(InstanceState::stopping), 1U);
}

TEST(Reconcile, AnInstanceOnTheCpuOfAWorkerWithAnUnusableGpuCarriesAWarning) {
  World world;
  auto worker = make_worker("w1");
  worker.devices.push_back({.device = {.id = "cuda:0", .kind = model::DeviceKind::cuda}});
  world.state().view.add(worker);
  world.put(make_model("chat", 1));
  world.settle();
  ASSERT_EQ(world.count(InstanceState::scheduled), 1U);
  const auto& instance = world.state().instances[0].value;
  EXPECT_FALSE(instance.warnings.empty());
  EXPECT_EQ(instance.serving->slots, 1U);
}

}  // namespace
}  // namespace berth::server
