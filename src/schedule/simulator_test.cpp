#include "schedule/simulator.h"

#include "backends/assumed_packs.h"
#include "schedule/test_cluster.h"
#include "schedule/workload_file.h"
#include "text/cluster_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace berth::schedule {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// The models of the tests: `small` takes 10 GiB of a device and 1 of the machine, `large` 30.
constexpr std::string_view kModels = R"(
models:
  small: {model: {layers: 8, layer: 1GiB}, deploy: {claim: {vram: 10GiB, ram: 1GiB}, cpu_offload: never}}
  packed: {model: {layers: 8, layer: 1GiB},
           deploy: {claim: {vram: 10GiB, ram: 1GiB}, cpu_offload: never, placement: binpack}}
  large: {model: {layers: 8, layer: 1GiB}, deploy: {claim: {vram: 30GiB, ram: 1GiB}, cpu_offload: never}}
)";

Result<Workload> read(const std::string& text) {
  return read_workload(text, "w.yaml", backends::builtin_backends(),
                       [](const std::string& path) -> Result<model::ModelProfile> {
                         if (path == "/m.gguf") return testing::llama();
                         return fail(ErrorCode::not_found, "{} is not there", path);
                       });
}

Workload workload(const std::string& rest) {
  auto found = read(std::string(kModels) + rest);
  if (found) return *std::move(found);
  ADD_FAILURE() << found.error().to_string();
  return {};
}

model::ClusterView cluster(std::string_view text) {
  const text::PackChoice packs{.known = {}, .usual = backends::assumed_packs()};
  auto found = text::read_cluster(text, "c.yaml", packs);
  if (found) return *std::move(found);
  ADD_FAILURE() << found.error().to_string();
  return {};
}

TEST(Simulator, PlacesWaitsAndLeavesAsWorkedOutByHand) {
  // One device holds two. The third waits until the first leaves after 10 s.
  const auto work = workload(
      "arrivals:\n"
      "  - {model: small, at: 0s, stays: 10s}\n"
      "  - {model: small, at: 0s, stays: 20s}\n"
      "  - {model: small, at: 0s, stays: 30s}\n");
  const auto done =
      simulate(work, cluster("workers: [{name: a, memory: 64GiB, gpus: 24GiB}]"), seconds(10));
  EXPECT_EQ(done.arrived, 3U);
  EXPECT_EQ(done.placed, 3U);
  EXPECT_EQ(done.waiting, 0U);
  EXPECT_EQ(done.ended, seconds(40));
  EXPECT_EQ(done.instances[2].placed, seconds(10));
  EXPECT_EQ(done.instances[2].left, seconds(40));
  EXPECT_EQ(done.instances[0].worker, "a");
  EXPECT_THAT(done.instances[0].devices, ElementsAre("cuda:0", "cpu"));
  EXPECT_EQ(done.stages.at("one_device"), 3U);
  // Waits of 0, 0 and 10 s.
  EXPECT_EQ(done.waits.p50, seconds(0));
  EXPECT_EQ(done.waits.p99, seconds(10));
  EXPECT_EQ(done.waits.max, seconds(10));
  // 20 of 24 GiB for 20 s, 10 for another 20 s.
  EXPECT_DOUBLE_EQ(done.mean_claimed, (20 * 20 + 20 * 10) / 24.0 / 40);
  EXPECT_DOUBLE_EQ(done.peak_claimed, 20 / 24.0);
  ASSERT_EQ(done.samples.size(), 5U);
  const double running[] = {2, 2, 1, 1, 0};
  const double waiting[] = {1, 0, 0, 0, 0};
  for (std::size_t i = 0; i < 5; ++i) {
    const auto& sample = done.samples[i];
    EXPECT_EQ(sample.at, seconds(10 * i));
    EXPECT_EQ(static_cast<double>(sample.running), running[i]);
    EXPECT_EQ(static_cast<double>(sample.waiting), waiting[i]);
    EXPECT_DOUBLE_EQ(sample.claimed, running[i] * 10 / 24);
    EXPECT_DOUBLE_EQ(sample.host_claimed, running[i] / 64);
    EXPECT_DOUBLE_EQ(sample.fragmented, running[i] == 0 ? 0 : 1);
  }
}

TEST(Simulator, ThoseThatLeaveMakeRoomForThoseThatCome) {
  const auto work = workload(
      "arrivals:\n"
      "  - {model: small, at: 0s, count: 2, stays: 10s}\n"
      "  - {model: small, at: 10s, count: 2, stays: 10s}\n");
  const auto done =
      simulate(work, cluster("workers: [{name: a, memory: 64GiB, gpus: 24GiB}]"), seconds(10));
  EXPECT_EQ(done.placed, 4U);
  EXPECT_EQ(done.waits.max, seconds(0));
}

TEST(Simulator, FreeMemoryBesideOthersIsFragmented) {
  constexpr std::string_view kTwo = "workers: [{name: a, memory: 64GiB, gpus: 2 x 24GiB}]";
  // Spread: 14 GiB are free of each, beside an instance. Packed: 4 beside two, and 24 alone.
  const auto spread = simulate(workload("arrivals: [{model: small, at: 0s, count: 2}]"),
                               cluster(kTwo), seconds(10));
  EXPECT_DOUBLE_EQ(spread.samples.back().fragmented, 1);
  const auto packed = simulate(workload("arrivals: [{model: packed, at: 0s, count: 2}]"),
                               cluster(kTwo), seconds(10));
  EXPECT_DOUBLE_EQ(packed.samples.back().fragmented, 4 / 28.0);
}

TEST(Simulator, WhatNeverFitsWaitsAndDoesNotHoldUpOthers) {
  const auto work = workload(
      "arrivals:\n"
      "  - {model: large, at: 0s, stays: 10s}\n"
      "  - {model: small, at: 1s, stays: 10s}\n");
  const auto done =
      simulate(work, cluster("workers: [{name: a, memory: 64GiB, gpus: 24GiB}]"), seconds(10));
  EXPECT_EQ(done.waiting, 1U);
  EXPECT_FALSE(done.instances[0].placed);
  EXPECT_EQ(done.instances[1].placed, seconds(1));
  ASSERT_EQ(done.reasons.size(), 1U);
  EXPECT_THAT(done.reasons.at("large"), HasSubstr("needs 30.0 GiB on one device, cuda:0 has"));
}

TEST(Simulator, CountsMachinesWhereThereAreNoDevices) {
  const auto work = read(
      "models: {m: {model: {layers: 8, layer: 1GiB}, deploy: {claim: {ram: 16GiB}}}}\n"
      "arrivals: [{model: m, at: 0s}]\n");
  ASSERT_TRUE(work) << work.error().to_string();
  const auto done = simulate(*work, cluster("workers: [{name: a, memory: 64GiB}]"), seconds(10));
  EXPECT_DOUBLE_EQ(done.samples.back().claimed, 0.25);
  EXPECT_EQ(done.stages.at("cpu"), 1U);
}

TEST(Simulator, RunsOverThousandsOfWorkers) {
  const auto work = workload(
      "arrivals:\n"
      "  - {model: small, every: 10s, until: 5m, stays: 1m to 2m, count: 2}\n");
  const auto done = simulate(
      work, cluster("templates: {n: {memory: 64GiB, gpus: 2 x 24GiB}}\nworkers: 2000 of n"),
      seconds(60));
  EXPECT_EQ(done.placed, 60U);
  EXPECT_EQ(done.waits.max, seconds(0));
  EXPECT_EQ(done.samples.back().running, 0U);
}

TEST(Simulator, ChanceFollowsFromTheSeed) {
  const auto arrivals = [](int seed) {
    const auto work = workload(fmt::format(
        "seed: {}\narrivals: [{{model: small, per_hour: 600, until: 1h, stays: about 5m}}]\n",
        seed));
    json::array times;
    for (const auto& one : work.arrivals) {
      times.emplace_back(one.at.count());
      times.emplace_back(one.stays.value().count());
    }
    return times;
  };
  EXPECT_EQ(arrivals(1), arrivals(1));
  EXPECT_NE(arrivals(1), arrivals(2));
  // 600 are expected, and 24.5 are one standard deviation.
  EXPECT_NEAR(static_cast<double>(arrivals(1).size()) / 2, 600, 100);
}

// Nothing on a device beyond its memory, with what others use and what is reserved.
bool within_memory(const model::ClusterView& view) {
  for (const auto& [name, worker] : view.workers()) {
    for (const auto& device : worker.devices) {
      const auto& facts = device.device;
      if (device.claimed() + facts.used + facts.reserved > facts.memory) return false;
    }
  }
  return true;
}

bool is_empty(const model::ClusterView& view) {
  for (const auto& [name, worker] : view.workers()) {
    if (!worker.instances.empty()) return false;
    for (const auto& device : worker.devices) {
      if (!device.instances.empty()) return false;
    }
  }
  return true;
}

SimulatedModel any_model(int number) {
  SimulatedModel model;
  model.deployment.name = fmt::format("m{}", number);
  model.deployment.source = "/models/m.gguf";
  model.profile = testing::llama(static_cast<std::uint32_t>(*rc::gen::inRange(1, 60)));
  model.backend = backends::builtin_backends().find("llama-box");
  model.deployment.cpu_offload = *rc::gen::element(
      model::CpuOffload::never, model::CpuOffload::allow, model::CpuOffload::only);
  model.deployment.placement =
      *rc::gen::element(model::PlacementPolicy::spread, model::PlacementPolicy::binpack);
  return model;
}

model::ClusterView any_cluster() {
  model::ClusterView view;
  const auto workers = *rc::gen::inRange(1, 4);
  for (int i = 0; i < workers; ++i) {
    std::vector<Bytes> gpus(static_cast<std::size_t>(*rc::gen::inRange(0, 4)));
    for (auto& gpu : gpus) gpu = 1_GiB * static_cast<std::uint64_t>(*rc::gen::inRange(4, 40));
    auto one = testing::worker(fmt::format("w{}", i),
                               1_GiB * static_cast<std::uint64_t>(*rc::gen::inRange(8, 64)), gpus);
    for (auto& device : one.devices) {
      device.device.used = 1_GiB * static_cast<std::uint64_t>(*rc::gen::inRange(0, 3));
      device.device.reserved = 1_GiB * static_cast<std::uint64_t>(*rc::gen::inRange(0, 2));
      const bool is_gpu = device.device.kind != model::DeviceKind::cpu;
      device.device.unified = is_gpu && *rc::gen::inRange(0, 4) == 0;
    }
    view.add(std::move(one));
  }
  return view;
}

TEST(SimulatorProperty, NoDeviceIsEverBeyondItsMemoryAndAllLeavesAnEmptyCluster) {
  EXPECT_TRUE(rc::check("memory and emptiness", [] {
    Workload work;
    const auto models = *rc::gen::inRange(1, 4);
    for (int i = 0; i < models; ++i) work.models.push_back(any_model(i));
    Duration at{0};
    const auto arrivals = *rc::gen::inRange(1, 25);
    for (int i = 0; i < arrivals; ++i) {
      at += seconds(*rc::gen::inRange(0, 20));
      work.arrivals.push_back({.at = at,
                               .model = static_cast<std::size_t>(*rc::gen::inRange(0, models)),
                               .stays = seconds(*rc::gen::inRange(0, 100))});
    }
    bool within = true;
    bool empty = false;
    const auto done =
        simulate(work, any_cluster(), seconds(10), [&](Duration, const model::ClusterView& view) {
          within = within && within_memory(view);
          empty = is_empty(view);
        });
    RC_CLASSIFY(done.placed > 0, "some placed");
    RC_CLASSIFY(done.waits.max > Duration(0), "some waited");
    RC_ASSERT(within);
    RC_ASSERT(empty);
    RC_ASSERT(done.placed + done.waiting == static_cast<std::uint64_t>(arrivals));
    RC_ASSERT(done.samples.back().running == 0U);
  }));
}

TEST(WorkloadFile, ReadsModelsByPathToo) {
  const auto work = read("models: {m: {path: /m.gguf}}\narrivals: [{model: m, at: 5s, count: 3}]");
  ASSERT_TRUE(work) << work.error().to_string();
  ASSERT_EQ(work->arrivals.size(), 3U);
  EXPECT_EQ(work->arrivals[0].at, seconds(5));
  EXPECT_FALSE(work->arrivals[0].stays);
  EXPECT_EQ(work->models[0].deployment.source, "/m.gguf");
  EXPECT_EQ(work->models[0].profile.layer_count, 32U);
}

TEST(WorkloadFile, ErrorsNameFileLineAndField) {
  const std::string model = "models: {m: {model: {layers: 1, layer: 1GiB}}}\n";
  const std::pair<std::string, const char*> cases[] = {
      {"", "w.yaml"},
      {model, "w.yaml has no arrivals"},
      {"arrivals: [{model: m, at: 0s}]\n", "line 1, arrivals[0].model: no model is named \"m\""},
      {"modles: {}\narrivals: []\n", "there is no field modles; known here: seed, models"},
      {model + "arrivals:\n  - {model: m}\n", "line 3, arrivals[0]: an arrival has one of at:"},
      {model + "arrivals:\n  - {model: m, at: 0s, every: 1s}\n", "has one of at:"},
      {model + "arrivals:\n  - {model: m, at: soon}\n",
       "line 3, arrivals[0].at: at must be a time such as 90s"},
      {model + "arrivals:\n  - {model: m, every: 1s}\n", "arrivals[0].until"},
      {model + "arrivals:\n  - {model: m, every: 0s, until: 1h}\n", "every must be at least 1s"},
      {model + "arrivals:\n  - {model: m, every: 1s, until: 30d}\n", "more than 1000000 arrivals"},
      {model + "arrivals:\n  - {model: m, at: 0s, stays: 5m to 1m}\n", "must not end before"},
      {model + "arrivals:\n  - {model: m, at: 0s, count: 0}\n", "count must be at least 1"},
      {"models: {m: {}}\narrivals: [{model: m, at: 0s}]\n", "either a path, or model"},
      {"models: {m: {path: /x}}\narrivals: [{model: m, at: 0s}]\n", "models.m.path: /x is not"},
      {"models:\n  m: {model: {layers: 0, layer: 1GiB}}\narrivals: [{model: m, at: 0s}]\n",
       "line 2, models.m.model.layers: layers must be at least 1"},
      {"models:\n  m: {path: /m.gguf, deploy: {cpu_offload: yes}}\narrivals: [{model: m, at: "
       "0s}]\n",
       "line 2, models.m.deploy.cpu_offload: cpu_offload must be one of never, allow, only"},
      {"models:\n  m: {path: /m.gguf, deploy: {parameters: [--port, \"1\"]}}\n"
       "arrivals: [{model: m, at: 0s}]\n",
       "line 2, models.m.deploy.parameters"},
  };
  for (const auto& [text, words] : cases) {
    const auto work = read(text);
    ASSERT_FALSE(work) << text;
    EXPECT_THAT(work.error().to_string(), HasSubstr(words)) << text;
  }
}

}  // namespace
}  // namespace berth::schedule
