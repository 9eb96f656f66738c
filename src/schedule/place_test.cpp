#include "schedule/place.h"

#include "schedule/test_cluster.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::schedule {
namespace {

using namespace testing;  // the fixtures
using model::CpuOffload;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string why(const Asked& request, const model::ClusterView& view) {
  const auto placed = request.place(view);
  if (placed) return "placed on " + placed->placement.worker;
  EXPECT_FALSE(placed.error().empty());
  return explain(placed.error());
}

TEST(Place, RunsOnTheCpuOfAMachineWithoutDevices) {
  const auto placed = asked().place(cluster({worker("box1", 32_GiB)}));
  ASSERT_TRUE(placed) << explain(placed.error());
  EXPECT_EQ(placed->stage, Stage::cpu);
  EXPECT_EQ(placed->serving.slots, 1U);
  EXPECT_EQ(placed->serving.context, 8192U);
  EXPECT_EQ(placed->placement.pack, "llama-server");
  EXPECT_THAT(placed->warnings, IsEmpty());
  ASSERT_EQ(placed->placement.claim.devices.size(), 1U);
  EXPECT_EQ(placed->placement.claim.devices[0].device, "cpu");
  EXPECT_EQ(placed->placement.claim.method, model::ClaimMethod::computed);
}

TEST(Place, PutsTheWholeModelOnOneDevice) {
  const auto placed = asked().place(cluster({worker("box1", 32_GiB, {24_GiB, 24_GiB})}));
  ASSERT_TRUE(placed) << explain(placed.error());
  EXPECT_EQ(placed->stage, Stage::one_device);
  EXPECT_EQ(placed->serving.slots, 4U);
  EXPECT_EQ(placed->placement.claim.layers->on_devices, 33U);
  EXPECT_EQ(placed->placement.claim.devices.size(), 2U);
}

TEST(Place, SplitsOverSeveralDevicesWhereOneIsTooSmall) {
  const auto placed = asked().place(cluster({worker("box1", 32_GiB, {8_GiB, 10_GiB})}));
  ASSERT_TRUE(placed) << explain(placed.error());
  EXPECT_EQ(placed->stage, Stage::several_devices);
  EXPECT_EQ(placed->placement.claim.devices[0].device, "cuda:1");
  EXPECT_EQ(placed->placement.claim.devices[1].device, "cuda:0");
  const auto& shares = placed->placement.claim.layers->per_device;
  EXPECT_EQ(shares[0] + shares[1], 33U);
  EXPECT_GE(shares[0], shares[1]);
}

TEST(Place, NeverSplitsAModelOverInstancesOfACutGpu) {
  auto box = worker("box1", 32_GiB, {8_GiB, 10_GiB});
  for (auto& view : box.devices) {
    if (view.device.kind == model::DeviceKind::cuda) view.device.part_of = "cuda:0";
  }
  const auto placed = asked().place(cluster({box}));
  ASSERT_TRUE(placed) << explain(placed.error());
  EXPECT_EQ(placed->stage, Stage::partial_offload);
  EXPECT_EQ(placed->placement.claim.devices[0].device, "cuda:1");
}

TEST(Place, RespectsTheUsersTensorSplit) {
  const auto placed = asked({"--tensor-split", "1,1"})
                          .place(cluster({worker("box1", 32_GiB, {24_GiB, 24_GiB, 24_GiB})}));
  ASSERT_TRUE(placed) << explain(placed.error());
  EXPECT_THAT(placed->placement.claim.layers->per_device, ElementsAre(17, 16));
}

TEST(Place, SaysThatATensorSplitNeedsMoreDevices) {
  auto request = asked({"--tensor-split", "1,1"});
  request.deployment.cpu_offload = CpuOffload::never;
  EXPECT_EQ(why(request, cluster({worker("box1", 32_GiB, {24_GiB})})),
            "worker box1: --tensor-split names 2 devices, it has 1");
}

TEST(Place, PutsAsManyLayersAsFitOnADevice) {
  const auto placed = asked().place(cluster({worker("box1", 32_GiB, {6_GiB})}));
  ASSERT_TRUE(placed) << explain(placed.error());
  EXPECT_EQ(placed->stage, Stage::partial_offload);
  const auto layers = placed->placement.claim.layers->on_devices;
  EXPECT_GT(layers, 0U);
  EXPECT_LT(layers, 33U);
  // One more would not fit.
  auto more = asked({"--gpu-layers", std::to_string(layers + 1)});
  const auto again = more.place(cluster({worker("box1", 32_GiB, {6_GiB})}));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->placement.claim.layers->on_devices, layers);
}

TEST(Place, TakesNoMoreLayersThanTheUserAsksFor) {
  const auto placed =
      asked({"--gpu-layers", "3"}).place(cluster({worker("box1", 32_GiB, {80_GiB})}));
  ASSERT_TRUE(placed);
  EXPECT_EQ(placed->placement.claim.layers->on_devices, 3U);
}

TEST(Place, NeverLetsTheCpuComputeWhereThatIsForbidden) {
  auto request = asked();
  request.deployment.cpu_offload = CpuOffload::never;
  EXPECT_THAT(why(request, cluster({worker("box1", 32_GiB, {6_GiB})})),
              HasSubstr("worker box1: needs "));
  EXPECT_THAT(why(request, cluster({worker("box1", 32_GiB)})), HasSubstr("cpu_offload is never"));
  request.deployment.parameters = {"--gpu-layers", "0"};
  EXPECT_THAT(why(request, cluster({worker("box1", 32_GiB, {80_GiB})})),
              HasSubstr("--gpu-layers 0 needs the CPU"));
}

TEST(Place, UsesTheCpuAloneOnRequestAndWarns) {
  auto request = asked();
  request.deployment.cpu_offload = CpuOffload::only;
  const auto placed = request.place(cluster({worker("box1", 32_GiB, {80_GiB})}));
  ASSERT_TRUE(placed);
  EXPECT_EQ(placed->stage, Stage::cpu);
  EXPECT_THAT(placed->warnings, ElementsAre(HasSubstr("although box1 has devices")));
}

TEST(Place, WaitsWhereDevicesAreMerelyFull) {
  auto full = worker("box1", 32_GiB, {24_GiB});
  full.devices[1].instances = {{.claim = 24_GiB}};
  const auto text = why(asked(), cluster({full}));
  EXPECT_THAT(text, HasSubstr("cuda:0 has 0 B"));
  EXPECT_THAT(text, HasSubstr("cpu_offload: only"));
}

TEST(Place, UsesTheCpuWhereADeviceCouldNeverTakeALayer) {
  const auto placed = asked().place(cluster({worker("box1", 32_GiB, {512_MiB})}));
  ASSERT_TRUE(placed) << explain(placed.error());
  EXPECT_EQ(placed->stage, Stage::cpu);
  EXPECT_FALSE(placed->warnings.empty());
}

TEST(Place, WarnsWhereNoPackCanUseTheDevice) {
  auto box = worker("box1", 32_GiB, {24_GiB});
  box.devices[1].device.name = "NVIDIA L4";
  box.packs = {pack("xllamacpp", {"cpu"})};
  const auto placed = asked().place(cluster({box}));
  ASSERT_TRUE(placed);
  EXPECT_THAT(placed->warnings,
              ElementsAre(HasSubstr("no engine pack on box1 can use cuda:0 (NVIDIA L4)")));
}

TEST(Place, PrefersAPackThatCanUseTheDevice) {
  auto box = worker("box1", 32_GiB, {24_GiB});
  box.packs = {pack("cpu-only", {"cpu"}),
               pack("with-cuda", {"cpu", "cuda"}, model::PackState::available)};
  const auto placed = asked().place(cluster({box}));
  ASSERT_TRUE(placed);
  EXPECT_EQ(placed->placement.pack, "with-cuda");
}

TEST(Place, PassesOverAPackThatLacksTheUsersFlag) {
  auto box = worker("box1", 32_GiB);
  box.packs = {pack("small", {"cpu"})};
  box.packs[0].pack.flags = {{.flag = "--ctx-size", .aliases = {"-c"}}};
  EXPECT_THAT(why(asked({"--top-k", "5"}), cluster({box})),
              HasSubstr("engine pack small does not have --top-k"));
  box.packs.push_back(pack("whole", {"cpu"}, model::PackState::available));
  const auto placed = asked({"--top-k", "5"}).place(cluster({box}));
  ASSERT_TRUE(placed);
  EXPECT_EQ(placed->placement.pack, "whole");
}

TEST(Place, CompilesNoPackUnlessItIsAskedFor) {
  auto machine = worker("a", 64_GiB);
  machine.packs = {pack("plain", {"cpu"}), pack("compiled", {"cpu"}, model::PackState::available)};
  machine.packs[0].pack.lacks = {"--no-mmap"};
  machine.packs[1].pack.compiled = true;
  auto request = asked({"--no-mmap"});
  const auto refused = request.place(cluster({machine}));
  ASSERT_FALSE(refused);
  EXPECT_NE(explain(refused.error()).find("plain does not have --no-mmap"), std::string::npos);
  EXPECT_NE(explain(refused.error()).find("berth engines install compiled"), std::string::npos);

  request.deployment.backend_version = "compiled";
  EXPECT_EQ(request.place(cluster({machine})).value().placement.pack, "compiled");
  request.deployment.backend_version.reset();
  machine.packs[1].state = model::PackState::installed;
  EXPECT_EQ(request.place(cluster({machine})).value().placement.pack, "compiled");
}

TEST(Place, SaysWhichContextWouldFit) {
  const auto request = asked({"--ctx-size", "32768"});
  const auto view = cluster({worker("box1", 10_GiB)});
  const auto placed = request.place(view);
  ASSERT_FALSE(placed);
  ASSERT_TRUE(placed.error().back().fitting_context);
  const auto context = *placed.error().back().fitting_context;
  EXPECT_THAT(explain(placed.error()),
              HasSubstr(fmt::format("would fit with --ctx-size {}", context)));
  EXPECT_TRUE(asked({"--ctx-size", std::to_string(context)}).place(view));
  EXPECT_FALSE(asked({"--ctx-size", std::to_string(context + 256)}).place(view));
}

TEST(Place, CountsWhatOtherProcessesUse) {
  auto box = worker("box1", 32_GiB, {24_GiB});
  box.devices[1].device.used = 20_GiB;
  const auto placed = asked().place(cluster({box}));
  ASSERT_TRUE(placed);
  EXPECT_EQ(placed->stage, Stage::partial_offload);
}

TEST(Place, ChecksTheMachinesMemoryOfDevicesThatShareIt) {
  auto box = worker("box1", 16_GiB, {16_GiB});
  box.devices[1].device.unified = true;
  box.devices[0].device.used = 8_GiB;
  EXPECT_THAT(why(asked(), cluster({box})), HasSubstr("of the machine's memory"));
}

TEST(Place, LetsAGivenClaimReplaceTheEstimate) {
  auto request = asked();
  request.deployment.claim = model::GivenClaim{.vram = 2_GiB, .ram = 1_GiB};
  const auto placed = request.place(cluster({worker("box1", 2_GiB, {3_GiB})}));
  ASSERT_TRUE(placed) << explain(placed.error());
  EXPECT_EQ(placed->stage, Stage::one_device);
  EXPECT_EQ(placed->placement.claim.method, model::ClaimMethod::given);
  EXPECT_EQ(placed->placement.claim.devices[0].total(), 2_GiB);
  EXPECT_EQ(placed->placement.claim.devices[1].total(), 1_GiB);
}

TEST(Place, CountsMeasuredBuffersForPacksOfTheSameBuildOnly) {
  const auto view = cluster({worker("a", 64_GiB, {24_GiB})});
  auto request = asked({"--ctx-size", "4096"});
  request.compute = {.build = "b1",
                     .figures = {{model::ComputeRole::device_whole, 4096, 4, 123_MiB, {}},
                                 {model::ComputeRole::host_whole, 4096, 4, 7_MiB, {}}}};
  const auto judged = request.place(view);
  ASSERT_TRUE(judged);
  EXPECT_EQ(judged->placement.claim.method, model::ClaimMethod::judged);
  EXPECT_EQ(judged->placement.claim.devices[0].compute, 123_MiB);
  EXPECT_EQ(judged->placement.claim.devices[1].compute, 7_MiB);

  request.compute.build = "b2";
  const auto computed = request.place(view);
  ASSERT_TRUE(computed);
  EXPECT_EQ(computed->placement.claim.method, model::ClaimMethod::computed);
  EXPECT_NE(computed->placement.claim.devices[0].compute, 123_MiB);
}

TEST(Place, CountsABoundWhereAFigureIsMissing) {
  const auto view = cluster({worker("a", 64_GiB, {24_GiB})});
  auto request = asked({"--ctx-size", "4096"});
  request.compute = {.build = "b1",
                     .figures = {{model::ComputeRole::device_whole, 4096, 4, 123_MiB, {}}}};
  const auto placed = request.place(view);
  ASSERT_TRUE(placed);
  EXPECT_EQ(placed->placement.claim.method, model::ClaimMethod::computed);
  EXPECT_EQ(placed->placement.claim.devices[0].compute, 123_MiB);
  EXPECT_GT(placed->placement.claim.devices[1].compute, 0_B);
}

TEST(Place, BelievesWhatAnEarlierInstanceTook) {
  const auto view = cluster({worker("a", 64_GiB)});
  auto request = asked({"--ctx-size", "4096"});
  const auto before = request.place(view);
  ASSERT_TRUE(before);
  const auto& host = before->placement.claim.devices.back();
  const auto seen = host.total() + 1_GiB;
  request.observed.layouts = {
      {.build = "b1", .serving = {.context = 4096, .slots = 1}, .host = seen}};
  const auto after = request.place(view);
  ASSERT_TRUE(after);
  EXPECT_EQ(after->placement.claim.method, model::ClaimMethod::observed);
  EXPECT_GE(after->placement.claim.devices.back().total(), seen);
}

TEST(Place, UsesTheNamedDevicesOnly) {
  auto request = asked();
  request.deployment.devices = {"box1:cuda:1"};
  const auto boxes = cluster({worker("box1", 32_GiB, {80_GiB, 24_GiB}), worker("box2", 32_GiB)});
  const auto placed = request.place(boxes);
  ASSERT_TRUE(placed);
  EXPECT_EQ(placed->placement.claim.devices[0].device, "cuda:1");
  request.deployment.devices = {"box1:cuda:7"};
  EXPECT_EQ(why(request, boxes),
            "worker box1: has no device cuda:7\nworker box2: other workers were asked for");
}

TEST(Place, NamesEachFilter) {
  auto down = worker("down", 32_GiB);
  down.state = model::WorkerState::lost;
  auto bare = worker("bare", 32_GiB);
  bare.packs.clear();
  auto plan9 = worker("plan9", 32_GiB);
  plan9.system.os = "plan9";
  const auto small = worker("small", 1_GiB);
  auto closed = worker("closed", 32_GiB);
  closed.scheduling = model::Scheduling::cordoned;
  const auto text = why(asked(), cluster({down, bare, plan9, small, closed}));
  EXPECT_THAT(text, HasSubstr("worker closed: cordoned"));
  EXPECT_THAT(text, HasSubstr("worker down: not ready: lost"));
  EXPECT_THAT(text, HasSubstr("worker bare: has no engine pack for llama-box on linux/amd64"));
  EXPECT_THAT(text, HasSubstr("worker plan9: plan9/amd64 is not a platform of the backend"));
  EXPECT_THAT(text, HasSubstr("worker small: needs"));

  auto labelled = asked();
  labelled.deployment.worker_selector = {{"disk", "fast"}};
  EXPECT_EQ(why(labelled, cluster({worker("a", 32_GiB), worker("b", 32_GiB)})),
            "workers a, b: lacks the label disk=fast");
  EXPECT_EQ(why(asked(), {}), "no worker has joined yet");
}

TEST(Place, RefusesAContextBeyondTheModels) {
  EXPECT_THAT(why(asked({"-c", "40000"}), cluster({worker("box1", 320_GiB)})),
              HasSubstr("--ctx-size 40000 is more than the 32768 tokens"));
}

TEST(Place, SpreadsOverWorkersOrPacksThem) {
  auto view = cluster({worker("a", 64_GiB, {80_GiB}), worker("b", 64_GiB, {80_GiB})});
  const auto first = asked().place(view);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->placement.worker, "a");  // the first name wins a tie
  view.apply("chat", first->placement);
  const auto spread = asked().place(view);
  ASSERT_TRUE(spread);
  EXPECT_EQ(spread->placement.worker, "b");
  auto packed = asked();
  packed.deployment.placement = model::PlacementPolicy::binpack;
  const auto second = packed.place(view);
  ASSERT_TRUE(second);
  EXPECT_EQ(second->placement.worker, "a");
}

TEST(Place, PrefersAWholeDeviceToTheCpuOfAnotherWorker) {
  const auto placed = asked().place(cluster({worker("a", 512_GiB), worker("b", 32_GiB, {24_GiB})}));
  ASSERT_TRUE(placed);
  EXPECT_EQ(placed->placement.worker, "b");
}

TEST(Explain, NamesAFewWorkersOfMany) {
  Rejections many;
  for (int i = 0; i < 9; ++i) {
    many.push_back({.code = RejectionCode::label_mismatch,
                    .worker = fmt::format("w{}", i),
                    .detail = "gpu=yes"});
  }
  EXPECT_EQ(explain(many), "workers w0, w1, w2, w3, w4 and 4 more: lacks the label gpu=yes");
}

}  // namespace
}  // namespace berth::schedule
