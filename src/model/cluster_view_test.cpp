#include "model/cluster_view.h"

#include <algorithm>
#include <functional>

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace berth::model {
namespace {

Device gpu(Bytes memory, Bytes used = {}, Bytes reserved = {}) {
  return {.id = "cuda:0",
          .kind = DeviceKind::cuda,
          .memory = memory,
          .used = used,
          .reserved = reserved};
}

TEST(FreeMemory, IsWhatIsNeitherClaimedNorUsed) {
  EXPECT_EQ(free_memory(gpu(80_GiB), {}), 80_GiB);
  EXPECT_EQ(free_memory(gpu(80_GiB, 10_GiB, 1_GiB), {}), 69_GiB);
}

TEST(FreeMemory, CountsAnInstanceOnceWhateverItUses) {
  for (const Bytes used : {0_GiB, 5_GiB, 20_GiB}) {
    const InstanceUse instance{.claim = 20_GiB, .used = used};
    EXPECT_EQ(free_memory(gpu(80_GiB, used), {{instance}}), 60_GiB);
  }
}

TEST(FreeMemory, CountsWhatAnInstanceTakesBeyondItsClaim) {
  const InstanceUse greedy{.claim = 20_GiB, .used = 30_GiB};
  const InstanceUse unstarted{.claim = 10_GiB};
  EXPECT_EQ(free_memory(gpu(80_GiB, 30_GiB), {{greedy, unstarted}}), 40_GiB);
}

TEST(FreeMemory, IsNothingWhereTheUseIsNotKnown) {
  auto device = gpu(80_GiB);
  device.measured = false;
  EXPECT_EQ(free_memory(device, {}), 0_B);
}

TEST(ClusterView, ChargesTheCpuForDevicesThatShareItsMemory) {
  WorkerView worker{.name = "w"};
  worker.devices.push_back({.device = {.id = "cpu", .memory = 64_GiB}, .instances = {}});
  worker.devices.push_back({.device = gpu(64_GiB), .instances = {}});
  worker.devices.back().device.unified = true;
  ClusterView view;
  view.add(worker);
  view.apply("chat",
             {.worker = "w", .claim = {.devices = {{.device = "cuda:0", .weights = 9_GiB}}}});
  EXPECT_EQ(view.find("w")->find_device("cpu")->free(), 55_GiB);
  EXPECT_EQ(view.find("w")->find_device("cuda:0")->free(), 55_GiB);
}

TEST(ClusterView, KnowsWhatThisGenerationOfAnInstanceUses) {
  WorkerView worker{.name = "w"};
  worker.devices.push_back({.device = gpu(80_GiB, 20_GiB), .instances = {}});
  worker.used_by[{"chat-1", 2}]["cuda:0"] = 20_GiB;
  const Placement placement{.worker = "w",
                            .claim = {.devices = {{.device = "cuda:0", .weights = 30_GiB}}}};
  ClusterView now;
  now.add(worker);
  now.apply("chat", placement, InstanceKey{"chat-1", 2});
  EXPECT_EQ(now.find("w")->find_device("cuda:0")->free(), 50_GiB);
  ClusterView next;  // what the last generation still has is not this one's
  next.add(worker);
  next.apply("chat", placement, InstanceKey{"chat-1", 3});
  EXPECT_EQ(next.find("w")->find_device("cuda:0")->free(), 30_GiB);
}

// Placements, engines that grow and end, and strangers that come and go, in any order: after each
// placement the claims, what strangers use and the reserve are within the memory.
TEST(FreeMemoryProperty, NeverGivesAwayWhatStrangersUse) {
  EXPECT_TRUE(rc::check("claims + others + reserve <= memory", [] {
    const auto bytes = [](std::uint64_t most) {
      return Bytes{*rc::gen::inRange<std::uint64_t>(0, most + 1)};
    };
    const Bytes memory = bytes(1000);
    const Bytes reserved = bytes(100);
    Bytes others = bytes(500);
    std::vector<InstanceUse> instances;
    for (int step = 0; step < 30; ++step) {
      const auto what = *rc::gen::inRange(0, 4);
      if (what == 0) others = bytes(500);
      if (what == 1 && !instances.empty()) {
        auto& one = instances[*rc::gen::inRange<std::size_t>(0, instances.size())];
        one.used = bytes(one.claim.count + 10);
      }
      if (what == 2 && !instances.empty()) instances.pop_back();
      if (what != 3) continue;
      Bytes used = others;
      for (const auto& one : instances) used += one.used;
      const Bytes free = free_memory(gpu(memory, used, reserved), instances);
      if (free == 0_B) continue;
      instances.push_back({.claim = Bytes{*rc::gen::inRange<std::uint64_t>(1, free.count + 1)}});
      Bytes taken = others + reserved;
      for (const auto& one : instances) taken += one.claim;
      RC_ASSERT(taken <= memory);
    }
  }));
}

}  // namespace
}  // namespace berth::model
