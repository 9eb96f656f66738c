#include "schedule/plan.h"

#include "backends/assumed_packs.h"
#include "schedule/test_cluster.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::schedule {
namespace {

using namespace testing;  // the fixtures
using ::testing::HasSubstr;

// A plan, with its launch, of a request that is kept alive meanwhile.
Plan plan_of(const Asked& request, const model::ClusterView& view) {
  const auto& backend = *backends::builtin_backends().find("llama-box");
  const auto parameters =
      backends::parse_parameters(backend.descriptor(), request.deployment.parameters).value();
  const PlacementRequest wish{request.deployment, request.profile, backend, parameters};
  auto plan = make_plan(wish, view);
  add_launch(wish, view, plan);
  return plan;
}

TEST(Plan, IsWhatPlaceSays) {
  const auto view = cluster({worker("a", 64_GiB, {24_GiB}), worker("b", 64_GiB, {80_GiB})});
  const auto placed = asked().place(view);
  const auto plan = plan_of(asked(), view);
  ASSERT_TRUE(placed && plan.placed);
  EXPECT_EQ(to_json(*plan.placement), to_json(placed->placement));
  EXPECT_EQ(plan.stage, placed->stage);
  EXPECT_EQ(plan.score, placed->score);
}

TEST(Plan, ShowsWhatOthersHaveOfEachDevice) {
  auto box = worker("a", 64_GiB, {24_GiB, 24_GiB});
  box.devices[1].device.used = 5_GiB;  // 3 GiB of which are the instance's
  box.devices[1].instances = {{.claim = 4_GiB, .used = 3_GiB}};
  auto request = asked();
  request.deployment.devices = {"a:cuda:0"};
  const auto plan = plan_of(request, cluster({box}));
  ASSERT_EQ(plan.devices.size(), 3U);
  const auto& gpu = plan.devices[1];
  EXPECT_EQ(gpu.device, "cuda:0");
  EXPECT_EQ(gpu.claimed, 4_GiB);
  EXPECT_EQ(gpu.others, 2_GiB);
  ASSERT_TRUE(gpu.claim);
  EXPECT_EQ(gpu.free, 24_GiB - 4_GiB - 2_GiB - gpu.claim->total());
  EXPECT_FALSE(plan.devices[2].claim);
  EXPECT_EQ(plan.devices[2].free, 24_GiB);
}

TEST(Plan, SaysWhyThereIsNoPlace) {
  auto request = asked();
  request.deployment.worker_selector = {{"zone", "b"}};
  const auto plan = plan_of(request, cluster({worker("a", 64_GiB)}));
  EXPECT_FALSE(plan.placed);
  EXPECT_EQ(plan.reasons, "worker a: lacks the label zone=b");
  ASSERT_EQ(plan.rejections.size(), 1U);
  EXPECT_FALSE(plan.launch);
  EXPECT_THAT(plan.launch_refused, HasSubstr("for want of a place"));
}

TEST(Plan, LaunchesWithStandInsAndWithoutSecrets) {
  auto box = worker("a", 64_GiB, {24_GiB, 24_GiB});
  box.packs[0].pack.program = {"{python}", "{pack}/launch.py"};
  auto request = asked();
  request.deployment.devices = {"a:cuda:1"};
  request.deployment.env = {{"HF_TOKEN", "hf_secret"}, {"FOO", "bar"}};
  const auto plan = plan_of(request, cluster({box}));
  ASSERT_TRUE(plan.launch) << plan.launch_refused;
  ASSERT_EQ(plan.launch->size(), 1U);
  const auto& launch = plan.launch->front();
  EXPECT_EQ(launch.worker, "a");
  EXPECT_EQ(launch.role, "main");
  EXPECT_EQ(launch.plan.argv[0], "{python}");
  EXPECT_EQ(launch.plan.argv[1], "{pack}/launch.py");
  EXPECT_EQ(launch.plan.working_directory, "{folder}");
  EXPECT_EQ(launch.plan.probe.port, 10001);
  const auto value = [&](std::string_view name) {
    const auto found = std::ranges::find(launch.plan.env, name, &model::EnvironmentVariable::name);
    return found == launch.plan.env.end() ? "absent" : found->value;
  };
  EXPECT_EQ(value("CUDA_VISIBLE_DEVICES"), "1");
  EXPECT_EQ(value("FOO"), "bar");
  EXPECT_EQ(value("HF_TOKEN"), "");
  EXPECT_EQ(value("LLAMA_API_KEY"), "");
  EXPECT_EQ(to_text(to_json(plan, Secrets::show)).find("hf_secret"), std::string::npos);
}

TEST(AssumedPacks, HaveOneForEachBackendOfThisProgram) {
  const auto packs = backends::assumed_packs();
  for (const auto* backend : backends::builtin_backends().all()) {
    const auto found =
        std::ranges::find(packs, backend->descriptor().name, &model::EnginePack::backend);
    ASSERT_NE(found, packs.end()) << backend->descriptor().name;
    EXPECT_FALSE(found->runtimes.empty());
  }
}

}  // namespace
}  // namespace berth::schedule
