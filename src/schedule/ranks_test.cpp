// Models whose ranks share every layer: vLLM and MindIE, on one worker and on several.
#include "schedule/test_cluster.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::schedule {
namespace {

using namespace testing;  // the fixtures
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// The model weighs 7.2 GiB: more than 12 GiB with all that vLLM adds, and on two ranks less than 8.
constexpr Bytes kLarge = 24_GiB;
constexpr Bytes kSmall = 10_GiB;

model::WorkerView gpus(std::string name, std::size_t count, Bytes memory) {
  return worker_for("vllm", std::move(name), std::vector<Bytes>(count, memory));
}

std::vector<std::string> devices_of(const std::vector<model::DeviceClaim>& claims) {
  std::vector<std::string> devices;
  devices.reserve(claims.size());
  for (const auto& claim : claims) devices.push_back(claim.device);
  return devices;
}

std::string why(const Asked& request, const model::ClusterView& view) {
  const auto placed = request.place(view);
  return placed ? "placed on " + placed->placement.worker : explain(placed.error());
}

Bytes part_of(Bytes memory, double part) {
  return {static_cast<std::uint64_t>(static_cast<double>(memory.count) * part)};
}

TEST(Ranks, VllmTakesItsPartOfADeviceWhateverItNeeds) {
  const auto placed = asked_for_ranks("vllm").place(cluster({gpus("box", 2, kLarge)}));
  ASSERT_TRUE(placed) << explain(placed.error());
  EXPECT_EQ(placed->stage, Stage::one_device);
  ASSERT_EQ(placed->placement.claim.devices.size(), 1);
  EXPECT_EQ(placed->placement.claim.devices.front().total(), part_of(kLarge, 0.9));
  const auto half = asked_for_ranks("vllm", {"--gpu-memory-utilization", "0.5"})
                        .place(cluster({gpus("box", 2, kLarge)}));
  EXPECT_EQ(half->placement.claim.devices.front().total(), part_of(kLarge, 0.5));
}

TEST(Ranks, ADeviceThatHasNotItsPartFreeIsLeftAlone) {
  auto view = gpus("box", 1, kLarge);
  view.devices.back().device.used = 3_GiB;
  EXPECT_THAT(why(asked_for_ranks("vllm"), cluster({view})),
              HasSubstr("takes 21.6 GiB of cuda:0, which has 21.0 GiB free; a smaller "
                        "--gpu-memory-utilization, or --kv-cache-memory-bytes"));
  const auto smaller = asked_for_ranks("vllm", {"--gpu-memory-utilization", "0.85"});
  EXPECT_EQ(why(smaller, cluster({view})), "placed on box");
}

TEST(Ranks, WithACacheOfItsOwnSizeModelsShareADevice) {
  auto request = asked_for_ranks("vllm", {"--kv-cache-memory-bytes", "8589934592"});
  request.profile.weights.layers.assign(32, 50_MiB);
  auto view = cluster({gpus("box", 1, 40_GiB)});
  const auto first = request.place(view);
  ASSERT_TRUE(first) << explain(first.error());
  EXPECT_EQ(first->placement.claim.devices.front().kv_cache, 8_GiB);
  EXPECT_LT(first->placement.claim.devices.front().total(), 20_GiB);
  view.apply("chat", first->placement);
  EXPECT_TRUE(request.place(view));
}

TEST(Ranks, EmbeddingsTakeWhatTheyNeed) {
  auto request = asked_for_ranks("vllm");
  request.profile.category = model::Category::embedding;
  const auto placed = request.place(cluster({gpus("box", 1, kLarge)}));
  ASSERT_TRUE(placed) << explain(placed.error());
  EXPECT_LT(placed->placement.claim.devices.front().total(), part_of(kLarge, 0.9));
}

TEST(Ranks, AsManyDevicesAsItTakes) {
  const auto placed = asked_for_ranks("vllm").place(cluster({gpus("box", 4, kSmall)}));
  ASSERT_TRUE(placed) << explain(placed.error());
  EXPECT_EQ(placed->stage, Stage::several_devices);
  EXPECT_EQ(placed->placement.claim.devices.size(), 2);
  for (const auto& rank : placed->placement.claim.devices) {
    EXPECT_EQ(rank.total(), part_of(kSmall, 0.9));
  }
}

TEST(Ranks, HeadsMustDivide) {
  // A third on each of three would fit, but 32 heads go to 2 or 4.
  const auto view = cluster({gpus("box", 3, 7_GiB)});
  EXPECT_THAT(why(asked_for_ranks("vllm"), view),
              HasSubstr("32 attention heads can not be shared by 3 ranks"));
  const auto fits = asked_for_ranks("vllm", {}, 24).place(view);
  ASSERT_TRUE(fits) << explain(fits.error());
  EXPECT_EQ(fits->placement.claim.devices.size(), 3);
}

TEST(Ranks, SizesThatTheUserGivesAreKept) {
  const auto view = cluster({gpus("box", 4, kLarge)});
  const auto four = asked_for_ranks("vllm", {"-tp", "2", "-pp", "2"}).place(view);
  ASSERT_TRUE(four) << explain(four.error());
  EXPECT_EQ(four->placement.claim.devices.size(), 4);
  EXPECT_EQ(four->stage, Stage::several_devices);
  EXPECT_EQ(asked_for_ranks("vllm", {"-tp", "1"}).place(view)->stage, Stage::one_device);
  EXPECT_THAT(why(asked_for_ranks("vllm", {"-tp", "8"}), view),
              HasSubstr("8 devices are asked for, and it has 4 that can work together"));
  // Heads are shared by the ranks of a group, not by all of them.
  const auto groups = asked_for_ranks("vllm", {"-tp", "1", "-pp", "3"}).place(view);
  ASSERT_TRUE(groups) << explain(groups.error());
  EXPECT_EQ(groups->placement.claim.devices.size(), 3);
}

TEST(Ranks, VllmWantsLinuxUnlessTheUserWantsOtherLabels) {
  auto view = gpus("box", 1, kLarge);
  view.labels = {{"os", "flatcar"}, {"rack", "7"}};
  auto request = asked_for_ranks("vllm");
  EXPECT_THAT(why(request, cluster({view})), HasSubstr("lacks the label os=linux"));
  request.deployment.worker_selector = {{"rack", "7"}};
  EXPECT_EQ(why(request, cluster({view})), "placed on box");
}

TEST(Ranks, MigInstancesWorkAlone) {
  auto view = gpus("box", 2, kSmall);
  for (auto& device : view.devices) {
    if (device.device.kind == model::DeviceKind::cuda) device.device.part_of = "cuda:9";
  }
  EXPECT_THAT(why(asked_for_ranks("vllm"), cluster({view})), HasSubstr("may take 9.0 GiB of"));
}

TEST(Ranks, SaysWhatEachWouldNeedAndWhichContextWouldFit) {
  const auto text =
      why(asked_for_ranks("vllm", {"--max-model-len", "32768"}), cluster({gpus("box", 1, 20_GiB)}));
  EXPECT_THAT(text, HasSubstr("may take 18.0 GiB of cuda:0; would fit with --max-model-len "));
}

// ---- several workers

TEST(Span, TakesWorkersWithEquallyManyDevices) {
  const auto placed = asked_for_ranks("vllm").place(
      cluster({gpus("one", 1, 6_GiB), gpus("two-a", 2, 6_GiB), gpus("two-b", 2, 6_GiB)}));
  ASSERT_TRUE(placed) << explain(placed.error());
  EXPECT_EQ(placed->stage, Stage::several_workers);
  EXPECT_THAT(placed->placement.workers(), ElementsAre("two-a", "two-b"));
  EXPECT_THAT(devices_of(placed->placement.claim.devices), ElementsAre("cuda:0", "cuda:1"));
  ASSERT_EQ(placed->placement.subordinates.size(), 1);
  EXPECT_THAT(devices_of(placed->placement.subordinates.front().devices),
              ElementsAre("cuda:0", "cuda:1"));
  EXPECT_FALSE(placed->placement.overcommit);
}

TEST(Span, OneWorkerIsBetterThanTwo) {
  const auto placed = asked_for_ranks("vllm").place(
      cluster({gpus("a", 1, kSmall), gpus("b", 1, kSmall), gpus("c", 2, kSmall)}));
  ASSERT_TRUE(placed);
  EXPECT_EQ(placed->placement.worker, "c");
  EXPECT_THAT(placed->placement.subordinates, IsEmpty());
}

TEST(Span, AsFewWorkersAsItTakes) {
  const auto placed = asked_for_ranks("vllm").place(
      cluster({gpus("a", 1, kSmall), gpus("b", 1, kSmall), gpus("c", 1, 12_GiB)}));
  ASSERT_TRUE(placed) << explain(placed.error());
  EXPECT_THAT(placed->placement.workers(), ElementsAre("c", "a")) << "the emptiest first";
}

TEST(Span, NotWhereTheUserForbidsIt) {
  auto request = asked_for_ranks("vllm");
  request.deployment.distributed = model::Distributed::never;
  EXPECT_THAT(why(request, cluster({gpus("a", 1, kSmall), gpus("b", 1, kSmall)})),
              HasSubstr("may take 9.0 GiB"));
}

TEST(Span, EveryDeviceMustHaveItsPartFree) {
  auto busy = gpus("b", 1, kSmall);
  busy.devices.back().device.used = 5_GiB;
  EXPECT_THAT(why(asked_for_ranks("vllm"), cluster({gpus("a", 1, kSmall), busy})),
              HasSubstr("takes 9.0 GiB of cuda:0, which has 5.0 GiB free"));
}

TEST(Span, AWorkerTakesPartInOneOnly) {
  auto view = cluster({gpus("a", 1, kSmall), gpus("b", 1, kSmall)});
  auto request =
      asked_for_ranks("vllm", {"--kv-cache-memory-bytes", "1073741824", "--max-model-len", "1024"});
  request.profile.weights.layers.assign(32, 20_MiB);
  request.deployment.parameters.insert(request.deployment.parameters.end(), {"-tp", "2"});
  const auto first = request.place(view);
  ASSERT_TRUE(first) << explain(first.error());
  ASSERT_EQ(first->stage, Stage::several_workers);
  view.apply("chat", first->placement);
  EXPECT_THAT(why(request, view),
              HasSubstr("already has a part of an instance over several workers"));
}

TEST(Span, EnginesOfOneVersionOnly) {
  auto other = gpus("b", 1, kSmall);
  other.packs.front().pack.name = "engine-2";
  const auto placed = asked_for_ranks("vllm").place(cluster({gpus("a", 1, kSmall), other}));
  EXPECT_FALSE(placed);
}

// ---- by hand

TEST(RanksByHand, TakesTheDevicesThatAreNamedAllOfThem) {
  auto request = asked_for_ranks("vllm");
  request.deployment.devices = {"box:cuda:1", "box:cuda:3"};
  const auto placed = request.place(cluster({gpus("box", 4, kLarge)}));
  ASSERT_TRUE(placed) << explain(placed.error());
  EXPECT_THAT(devices_of(placed->placement.claim.devices), ElementsAre("cuda:1", "cuda:3"));
  EXPECT_FALSE(placed->placement.overcommit);
}

TEST(RanksByHand, WhatOnlyAnEstimateForbidsIsMarked) {
  auto request = asked_for_ranks("vllm");
  request.deployment.devices = {"box:cuda:0"};
  const auto placed = request.place(cluster({gpus("box", 1, kSmall)}));
  ASSERT_TRUE(placed) << explain(placed.error());
  EXPECT_TRUE(placed->placement.overcommit);
  EXPECT_THAT(placed->warnings,
              ElementsAre(HasSubstr("placed where you asked for it, although on box: needs ")));
}

TEST(RanksByHand, PlatformsAndDevicesThatAreNotThereHold) {
  auto request = asked_for_ranks("vllm");
  request.deployment.devices = {"box:cuda:7"};
  EXPECT_THAT(why(request, cluster({gpus("box", 1, kLarge)})), HasSubstr("has no device cuda:7"));
  request.deployment.devices = {"box:cuda:0"};
  auto windows = gpus("box", 1, kLarge);
  windows.system.os = "windows";
  EXPECT_THAT(why(request, cluster({windows})), HasSubstr("windows/amd64 is not a platform"));
}

TEST(RanksByHand, UnequalWorkersAreTakenWithAWarning) {
  auto request = asked_for_ranks("vllm", {}, 24);
  request.deployment.devices = {"b:cuda:0", "a:cuda:0", "a:cuda:1"};
  const auto placed = request.place(cluster({gpus("a", 2, kLarge), gpus("b", 1, kLarge)}));
  ASSERT_TRUE(placed) << explain(placed.error());
  EXPECT_EQ(placed->stage, Stage::several_workers);
  EXPECT_THAT(placed->placement.workers(), ElementsAre("b", "a")) << "the first named is the main";
  EXPECT_TRUE(placed->placement.overcommit);
  EXPECT_THAT(placed->warnings, ElementsAre(HasSubstr("b has 1 of the devices and a has 2")));
}

TEST(RanksByHand, AllOfThemOrNone) {
  auto request = asked_for_ranks("vllm", {}, 24);
  request.deployment.devices = {"a:cuda:0", "b:cuda:0", "c:cuda:0"};
  auto away = gpus("c", 1, kLarge);
  away.state = model::WorkerState::not_ready;
  EXPECT_THAT(why(request, cluster({gpus("a", 1, kLarge), gpus("b", 1, kLarge), away})),
              HasSubstr("worker c: not ready"));
  auto mig = gpus("box", 2, kLarge);
  mig.devices.back().device.part_of = "cuda:9";
  request.deployment.devices = {"box:cuda:0", "box:cuda:1"};
  EXPECT_THAT(why(request, cluster({mig})),
              HasSubstr("1 of the 2 devices that were named can work together"));
}

TEST(RanksByHand, MustBeAsManyAsTheFlagsSay) {
  auto request = asked_for_ranks("vllm", {"-tp", "4"});
  request.deployment.devices = {"box:cuda:0", "box:cuda:1"};
  EXPECT_THAT(why(request, cluster({gpus("box", 4, kLarge)})),
              HasSubstr("2 devices were named, and the flags ask for 4"));
}

// ---- MindIE

model::WorkerView npus(std::string name, std::size_t count, bool networked = true) {
  auto view = worker_for("ascend-mindie", std::move(name), std::vector<Bytes>(count, 16_GiB),
                         model::DeviceKind::cann);
  for (auto& device : view.devices) {
    if (networked) device.device.network_address = "10.0.0.1";
  }
  return view;
}

TEST(RanksOfMindie, AreAPowerOfTwo) {
  auto request = asked_for_ranks("ascend-mindie", {}, 24);
  request.profile.total_size = 38_GiB;
  const auto placed = request.place(cluster({npus("box", 8)}));
  ASSERT_TRUE(placed) << explain(placed.error());
  EXPECT_EQ(std::ranges::count_if(placed->placement.claim.devices,
                                  [](const auto& claim) { return claim.device != "cpu"; }),
            4);
  EXPECT_EQ(placed->placement.claim.devices.back().device, "cpu");
  request.deployment.devices = {"box:cann:0", "box:cann:1", "box:cann:2"};
  EXPECT_THAT(why(request, cluster({npus("box", 8)})),
              HasSubstr("3 devices were named, and ascend-mindie works on 1, 2, 4, 8"));
}

TEST(RanksOfMindie, SpanWorkersOnRequestWhereTheNpusHaveAddresses) {
  auto request = asked_for_ranks("ascend-mindie");
  request.profile.total_size = 34_GiB;
  const auto view = cluster({npus("a", 2), npus("b", 2)});
  EXPECT_FALSE(request.place(view)) << "never by itself";
  request.deployment.distributed = model::Distributed::allow;
  const auto placed = request.place(view);
  ASSERT_TRUE(placed) << explain(placed.error());
  EXPECT_THAT(placed->placement.workers(), ElementsAre("a", "b"));
  EXPECT_EQ(placed->placement.claim.devices.back().device, "cpu");
  EXPECT_EQ(placed->placement.subordinates.front().devices.back().device, "cpu");
  request.deployment.distributed.reset();
  request.deployment.devices = {"a:cann:0", "a:cann:1", "b:cann:0", "b:cann:1"};
  EXPECT_TRUE(request.place(view)) << "they were named";
  request.deployment.distributed = model::Distributed::never;
  EXPECT_FALSE(request.place(view));
  request.deployment = asked().deployment;
  request.deployment.distributed = model::Distributed::allow;
  EXPECT_THAT(why(request, cluster({npus("a", 2), npus("b", 2, false)})),
              HasSubstr("has no network address of its own"));
}

// ---- vox-box

Asked whisper() {
  Asked request = asked();
  request.backend = "vox-box";
  request.profile = {};
  request.profile.architecture = "faster-whisper";
  request.profile.category = model::Category::speech_to_text;
  request.profile.total_size = 3_GiB;
  return request;
}

TEST(VoxBox, TakesAGpuThatFitsElseTheCpu) {
  const auto on = [](Bytes memory, Bytes used) {
    auto view = worker_for("vox-box", "box", {memory});
    view.devices.back().device.used = used;
    const auto placed = whisper().place(cluster({view}));
    EXPECT_TRUE(placed) << explain(placed.error());
    return placed ? placed->stage : Stage::several_workers;
  };
  EXPECT_EQ(on(24_GiB, 0_B), Stage::one_device);
  EXPECT_EQ(on(24_GiB, 20_GiB), Stage::cpu) << "it is merely full";
  EXPECT_EQ(on(4_GiB, 0_B), Stage::cpu);
}

TEST(VoxBox, NeverTheCpuWhereThatIsForbidden) {
  auto request = whisper();
  request.deployment.cpu_offload = model::CpuOffload::never;
  EXPECT_THAT(why(request, cluster({worker_for("vox-box", "box", {4_GiB})})),
              HasSubstr("needs 10.0 GiB on one device, cuda:0 has 4.0 GiB"));
}

TEST(Place, TheCpuServesWhatDevicesAreTooFullForWhereTheUserWantsThat) {
  auto full = worker("box", 32_GiB, {24_GiB});
  full.devices.back().device.used = 24_GiB;
  auto request = asked();
  EXPECT_THAT(why(request, cluster({full})),
              HasSubstr("or cpu_when_full, would run it on the CPU"));
  request.deployment.cpu_when_full = true;
  const auto placed = request.place(cluster({full}));
  ASSERT_TRUE(placed) << explain(placed.error());
  EXPECT_EQ(placed->stage, Stage::cpu);
}

}  // namespace
}  // namespace berth::schedule
