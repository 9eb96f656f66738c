#include "schedule/test_cluster.h"

#include <numeric>

#include <gmock/gmock.h>

namespace berth::schedule {
namespace {

using namespace testing;
using model::DeviceKind;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A worker whose pack can work over several workers.
model::WorkerView box(std::string name, const std::vector<Bytes>& gpus, Bytes ram = 32_GiB) {
  auto view = worker(std::move(name), ram, gpus);
  view.packs.front().pack.capabilities = {"rpc"};
  return view;
}

std::vector<std::string> devices_of(const std::vector<model::DeviceClaim>& claims) {
  std::vector<std::string> ids;
  for (const auto& claim : claims) ids.push_back(claim.device);
  return ids;
}

TEST(LayersOverWorkers, TakeTheFewestWorkersWithTheMostFreeMemory) {
  const auto placed = asked().place(
      cluster({box("a", {6_GiB}), box("b", {8_GiB}), box("c", {7_GiB}), box("d", {4_GiB})}));
  ASSERT_TRUE(placed) << explain(placed.error());
  EXPECT_EQ(placed->stage, Stage::several_workers);
  EXPECT_THAT(placed->placement.workers(), ElementsAre("b", "c"));
}

TEST(LayersOverWorkers, ShareAllLayersTheSubordinatesDevicesFirst) {
  const auto placed = asked().place(cluster({box("a", {8_GiB}), box("b", {7_GiB})}));
  ASSERT_TRUE(placed) << explain(placed.error());
  const auto& placement = placed->placement;
  EXPECT_EQ(placement.worker, "a");
  EXPECT_THAT(devices_of(placement.claim.devices), ElementsAre("cuda:0", "cpu"));
  ASSERT_EQ(placement.subordinates.size(), 1);
  EXPECT_EQ(placement.subordinates.front().worker, "b");
  EXPECT_THAT(devices_of(placement.subordinates.front().devices), ElementsAre("cuda:0", "cpu"));
  ASSERT_TRUE(placement.claim.layers);
  const auto& layers = placement.claim.layers->per_device;
  ASSERT_EQ(layers.size(), 2);
  EXPECT_EQ(layers[0] + layers[1], 33) << "the output layer is one of them";
  EXPECT_LT(layers[0], layers[1]) << "the subordinate has less memory";
}

TEST(LayersOverWorkers, TakeOfTheLastWorkerOnlyTheDevicesThatAreNeeded) {
  const auto placed = asked().place(cluster({box("a", {5_GiB, 5_GiB}), box("b", {7_GiB, 2_GiB})}));
  ASSERT_TRUE(placed) << explain(placed.error());
  ASSERT_EQ(placed->stage, Stage::several_workers);
  EXPECT_EQ(placed->placement.subordinates.front().devices.size(), 2) << "a device and the host";
}

TEST(LayersOverWorkers, AreNotForOneThatHasRoom) {
  const auto placed = asked().place(cluster({box("a", {8_GiB}), box("b", {24_GiB})}));
  ASSERT_TRUE(placed);
  EXPECT_EQ(placed->stage, Stage::one_device);
  EXPECT_TRUE(placed->placement.subordinates.empty());
}

TEST(LayersOverWorkers, NeedTheSameBuildOfAPackThatCan) {
  auto other = box("b", {7_GiB});
  other.packs.front().pack.build = "b2";
  auto request = asked();
  request.deployment.cpu_offload = model::CpuOffload::never;
  EXPECT_FALSE(request.place(cluster({box("a", {8_GiB}), other})));
  const auto placed = request.place(cluster({box("a", {8_GiB}), worker("c", 32_GiB, {7_GiB})}));
  ASSERT_FALSE(placed);
  EXPECT_THAT(explain(placed.error()), HasSubstr("can work over several workers"));
}

TEST(LayersOverWorkers, MoveTheMainProcessWhereItsWorkerHasTooLittleMainMemory) {
  const auto placed =
      asked().place(cluster({box("a", {8_GiB}, 400_MiB), box("b", {7_GiB}, 32_GiB)}));
  ASSERT_TRUE(placed) << explain(placed.error());
  ASSERT_EQ(placed->stage, Stage::several_workers);
  EXPECT_EQ(placed->placement.worker, "b");
}

TEST(LayersOverWorkers, HaveTheirMainProcessWhereOthersCanNotReach) {
  auto local = box("b", {7_GiB});
  local.host = "127.0.0.1";
  auto remote = box("a", {8_GiB});
  remote.host = "10.0.0.2";
  const auto placed = asked().place(cluster({remote, local}));
  ASSERT_TRUE(placed);
  ASSERT_EQ(placed->stage, Stage::several_workers);
  EXPECT_EQ(placed->placement.worker, "b");
}

TEST(LayersOverWorkers, AreNotForModelsWithAProjector) {
  auto request = asked();
  auto& projector = request.profile.projectors.emplace_back();
  projector.path = "/models/mmproj.gguf";
  projector.usable = projector.chosen = true;
  const auto placed = request.place(cluster({box("a", {8_GiB}), box("b", {7_GiB})}));
  ASSERT_TRUE(placed);
  EXPECT_EQ(placed->stage, Stage::partial_offload);
}

TEST(LayersOverWorkers, AreForbiddenByTheDeployment) {
  auto request = asked();
  request.deployment.distributed = model::Distributed::never;
  const auto placed = request.place(cluster({box("a", {8_GiB}), box("b", {7_GiB})}));
  ASSERT_TRUE(placed);
  EXPECT_EQ(placed->stage, Stage::partial_offload);
}

TEST(LayersOverWorkers, FollowTheDevicesThatTheUserNamed) {
  auto request = asked();
  request.deployment.devices = {"c:cuda:0", "d:cuda:0"};
  const auto placed = request.place(
      cluster({box("a", {8_GiB}), box("b", {8_GiB}), box("c", {7_GiB}), box("d", {7_GiB})}));
  ASSERT_TRUE(placed) << explain(placed.error());
  EXPECT_THAT(placed->placement.workers(), ElementsAre("c", "d"));
}

TEST(LayersOverWorkers, CountTheServersMainMemory) {
  const auto placed = asked().place(cluster({box("a", {8_GiB}), box("b", {7_GiB})}));
  ASSERT_TRUE(placed);
  const auto& host = placed->placement.subordinates.front().devices.back();
  EXPECT_EQ(host.total(), 264_MiB) << "64 MiB, and the largest tensor that it may be sent";
  EXPECT_FALSE(asked().place(cluster({box("a", {8_GiB}), box("b", {7_GiB}, 200_MiB)}))->stage ==
               Stage::several_workers);
}

}  // namespace
}  // namespace berth::schedule
