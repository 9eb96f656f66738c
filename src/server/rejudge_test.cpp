#include "server/rejudge.h"

#include <gtest/gtest.h>

namespace berth::server {
namespace {

using store::Stored;

model::PackStatus pack(std::string build, model::PackState state = model::PackState::installed) {
  model::PackStatus status{.state = state};
  status.pack = {.name = "built", .backend = "llama-box", .build = std::move(build)};
  status.pack.judge = {"{pack}/bin/judge"};
  return status;
}

model::WorkerView worker(std::string name, std::vector<model::PackStatus> packs,
                         std::vector<model::DeviceKind> devices = {model::DeviceKind::cpu}) {
  model::WorkerView view{.name = std::move(name), .packs = std::move(packs)};
  view.devices.reserve(devices.size());
  for (const auto kind : devices) view.devices.push_back({.device = {.kind = kind}});
  return view;
}

model::ClusterView cluster(std::vector<model::WorkerView> workers) {
  model::ClusterView view;
  for (auto& one : workers) view.add(std::move(one));
  return view;
}

// Read from the disk of "w".
Stored<model::Model> on_disk(std::string build = "", std::vector<model::ComputeRole> roles = {
                                                         model::ComputeRole::cpu_alone}) {
  model::Model model{
      .deployment = {.name = "m", .source = "/m/a.gguf"}, .backend = "llama-box", .read_by = "w"};
  model.profile.files = {{.path = "/m/a.gguf", .size = 1_MiB}};
  model.compute.build = std::move(build);
  if (!model.compute.build.empty()) {
    for (const auto role : roles) model.compute.figures.push_back({.role = role, .size = 1_MiB});
  }
  return {"m", 1, model};
}

Stored<model::Model> on_a_hub() {
  auto stored = on_disk();
  stored.value.deployment.source = "hf:o/m";
  stored.value.read_by.clear();
  stored.value.files = model::RepositoryFiles{.source = "hf:o/m", .repository = "o/m"};
  return stored;
}

bool is_judged(const Stored<model::Model>& model, const model::ClusterView& view) {
  return !models_to_judge({model}, view).empty();
}

TEST(ModelsToJudge, AreThoseThatNoPackHasMeasured) {
  EXPECT_FALSE(is_judged(on_disk(), cluster({worker("w", {})})));
  const auto view = cluster({worker("w", {pack("b7")})});
  EXPECT_TRUE(is_judged(on_disk(), view));
  EXPECT_FALSE(is_judged(on_disk("b7"), view));
  EXPECT_TRUE(is_judged(on_disk("b6"), view)) << "placements of the new build can not use it";
}

TEST(ModelsToJudge, NeedAnInstalledPackWithAJudgeOnAReadyWorker) {
  auto without = pack("b7");
  without.pack.judge.clear();
  EXPECT_FALSE(is_judged(on_disk(), cluster({worker("w", {without})})));
  auto other = pack("b7");
  other.pack.backend = "vllm";
  EXPECT_FALSE(is_judged(on_disk(), cluster({worker("w", {other})})));
  const auto available = pack("b7", model::PackState::available);
  EXPECT_FALSE(is_judged(on_disk(), cluster({worker("w", {available})})));
  auto silent = worker("w", {pack("b7")});
  silent.state = model::WorkerState::not_ready;
  EXPECT_FALSE(is_judged(on_disk(), cluster({silent})));
  EXPECT_FALSE(is_judged(on_disk(), cluster({worker("w", {pack("")})})))
      << "what a pack without a build says, no placement could use";
}

TEST(ModelsToJudge, AreMeasuredByAnyOneOfTheBuilds) {
  const auto view = cluster({worker("a", {pack("b8")}), worker("w", {pack("b7")})});
  auto hub = on_a_hub();
  const auto wanted = models_to_judge({hub}, view);
  ASSERT_EQ(wanted.size(), 1U);
  EXPECT_EQ(wanted[0].builds, (std::vector<std::string>{"b7", "b8"}));
  hub.value.compute = on_disk("b8").value.compute;
  EXPECT_FALSE(is_judged(hub, view));
}

TEST(ModelsToJudge, OnADiskAreMeasuredByTheWorkerThatReadThem) {
  const auto view = cluster({worker("other", {pack("b7")}), worker("w", {})});
  EXPECT_FALSE(is_judged(on_disk(), view));
  EXPECT_TRUE(is_judged(on_a_hub(), view));
  auto by_server = on_disk();
  by_server.value.read_by.clear();
  EXPECT_TRUE(is_judged(by_server, view)) << "by the worker beside the server";
}

TEST(ModelsToJudge, WantFiguresForDevicesWhereAnyWorkerHasThem) {
  using enum model::ComputeRole;
  const auto gpu = worker("gpu", {}, {model::DeviceKind::cpu, model::DeviceKind::cuda});
  const auto view = cluster({worker("w", {pack("b7")}), gpu});
  const auto wanted = models_to_judge({on_disk("b7", {cpu_alone, projector_on_cpu})}, view);
  ASSERT_EQ(wanted.size(), 1U);
  EXPECT_TRUE(wanted[0].devices);
  EXPECT_FALSE(is_judged(on_disk("b7", {cpu_alone, device_whole, host_whole}), view));
  EXPECT_FALSE(is_judged(on_disk("b7"), cluster({worker("w", {pack("b7")})})));
}

TEST(ModelsToJudge, AreNotThoseThatGoOrOfWhoseFilesNothingIsKnown) {
  const auto view = cluster({worker("w", {pack("b7")})});
  auto going = on_disk();
  going.value.deleting = true;
  EXPECT_FALSE(is_judged(going, view));
  auto unknown = on_disk();
  unknown.value.profile.files.clear();
  EXPECT_FALSE(is_judged(unknown, view));
  auto hub = on_a_hub();
  hub.value.files.reset();
  EXPECT_FALSE(is_judged(hub, view));
}

}  // namespace
}  // namespace berth::server
