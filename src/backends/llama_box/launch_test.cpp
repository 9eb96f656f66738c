// Golden launch plans: one folder a case under testdata/, with what is asked (case.json) and the
// plan (expected.json). BERTH_UPDATE_GOLDEN=1 writes the plans anew; read the difference.
#include "backends/check.h"
#include "backends/llama_box/llama_box.h"
#include "base/files.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::backends::llama_box {

// What a case says; devices with the layers that the placement gave to each.
struct GoldenShare {
  std::string device;
  std::uint32_t layers = 0;
};
BOOST_DESCRIBE_STRUCT(GoldenShare, (), (device, layers))
struct GoldenCase {
  model::Deployment deployment;
  model::ModelProfile profile;
  model::EnginePack pack;
  model::Worker worker;
  std::vector<GoldenShare> shares;
};
BOOST_DESCRIBE_STRUCT(GoldenCase, (), (deployment, profile, pack, worker, shares))

namespace {

namespace fs = std::filesystem;
using ::testing::Contains;
using ::testing::HasSubstr;

fs::path testdata() { return fs::path(BERTH_SOURCE_DIR) / "src/backends/llama_box/testdata"; }

Result<GoldenCase> read_case(const fs::path& file) {
  BERTH_TRY(const auto text, read_file(file));
  BERTH_TRY(const auto value, parse_json(text));
  return from_json<GoldenCase>(value, UnknownMembers::refuse);
}

Result<model::LaunchPlan> plan_of(const GoldenCase& given) {
  const LlamaBox backend;
  BERTH_TRY(const auto checked, check_deployment(backend, given.deployment, given.profile));
  BERTH_TRY(const auto serving,
            backend.serving(given.profile, checked.parameters, !given.shares.empty()));
  EstimateRequest request{.profile = given.profile,
                          .parameters = checked.parameters,
                          .serving = serving,
                          .devices = {},
                          .cores = given.worker.system.cores};
  for (const auto& share : given.shares) request.devices.push_back({share.device, share.layers});
  BERTH_TRY(auto claim, backend.estimate(request));
  const model::Placement placement{.worker = given.worker.name,
                                   .claim = std::move(claim),
                                   .subordinates = {},
                                   .pack = given.pack.name};
  return backend.launch({.deployment = given.deployment,
                         .profile = given.profile,
                         .placement = placement,
                         .serving = serving,
                         .pack = given.pack,
                         .pack_folder = "/packs/one",
                         .pack_python = "/packs/one/bin/python",
                         .worker = given.worker,
                         .instance = "chat-x7k2",
                         .folder = "/data/instances/chat-x7k2",
                         .engine_key = "the-engine-key",
                         .ports = {29000}});
}

TEST(LaunchPlan, IsAsTheGoldenFilesSay) {
  const bool update =
      std::getenv("BERTH_UPDATE_GOLDEN") != nullptr;  // NOLINT(concurrency-mt-unsafe)
  std::size_t cases = 0;
  for (const auto& folder : fs::directory_iterator(testdata())) {
    const auto given = read_case(folder.path() / "case.json");
    ASSERT_TRUE(given) << folder.path() << ": " << given.error().to_string();
    const auto plan = plan_of(*given);
    ASSERT_TRUE(plan) << folder.path() << ": " << plan.error().to_string();
    const auto text = to_pretty_text(to_json(*plan, Secrets::show)) + "\n";
    const auto file = folder.path() / "expected.json";
    if (update) {
      ASSERT_TRUE(write_file_atomic(file, text));
    }
    EXPECT_EQ(read_file(file).value_or(""), text) << folder.path();
    ++cases;
  }
  EXPECT_GE(cases, 5U);
}

GoldenCase cpu_case() { return read_case(testdata() / "cpu-default" / "case.json").value(); }

TEST(LaunchPlan, KeepsTheEnginesKeyOutOfTheCommandLine) {
  const auto plan = plan_of(cpu_case());
  ASSERT_TRUE(plan);
  for (const auto& word : plan->argv) EXPECT_EQ(word.find("the-engine-key"), std::string::npos);
  for (const auto& variable : plan->env) {
    EXPECT_EQ(variable.secret, variable.name == "LLAMA_API_KEY");
  }
}

TEST(LaunchPlan, NamesTheFlagsThatThePackLacks) {
  auto given = cpu_case();
  given.pack.flags = {{.flag = "--model", .aliases = {"-m"}}, {.flag = "--alias", .aliases = {}}};
  const auto plan = plan_of(given);
  ASSERT_FALSE(plan);
  EXPECT_THAT(plan.error().message, HasSubstr("does not have --host, --port"));
}

TEST(LaunchPlan, NeedsThePackThatItsProgramNames) {
  auto given = cpu_case();
  given.pack.program = {"{python}", "{pack}/launch.py"};
  const auto plan = plan_of(given);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->argv[0], "/packs/one/bin/python");
  EXPECT_EQ(plan->argv[1], "/packs/one/launch.py");
}

TEST(LaunchPlan, HasAnHttpThreadForEachRequestThatMayWaitAndForProbes) {
  auto given = cpu_case();
  given.deployment.parameters = {"--parallel", "4", "--threads-http", "8"};
  const auto plan = plan_of(given);
  ASSERT_TRUE(plan);
  const auto flag = std::ranges::find(plan->argv, "--threads-http");
  ASSERT_NE(flag, plan->argv.end());
  EXPECT_EQ(*(flag + 1), "148");
  EXPECT_EQ(std::ranges::count(plan->argv, "--threads-http"), 1);
  EXPECT_THAT(plan->notes, Contains(HasSubstr("asked --threads-http 8; in force --threads-http")));
}

TEST(LaunchPlan, DoesNotProbeAnEngineThatMaySleep) {
  auto given = cpu_case();
  EXPECT_EQ(plan_of(given)->liveness.path, "/metrics");
  given.deployment.parameters = {"--sleep-idle-seconds", "60"};
  EXPECT_EQ(plan_of(given)->liveness.path, "");
}

TEST(LaunchPlan, EndsWellWithinTheTimeThatAStopMayTake) {
  EXPECT_LE(plan_of(cpu_case())->stop_grace, std::chrono::seconds(3));
}

TEST(LaunchPlan, GivesALargeModelMoreTimeToLoad) {
  auto given = cpu_case();
  const auto small = plan_of(given)->readiness_deadline;
  given.profile.total_size = 40_GiB;
  EXPECT_GT(plan_of(given)->readiness_deadline, small + std::chrono::minutes(30));
}

TEST(Settings, MakeBatchesSmallerForLargerModels) {
  auto given = cpu_case();
  const ParsedParameters none;
  const auto batch = [&](std::uint64_t parameters, std::uint32_t cores, bool devices) {
    given.profile.parameters = parameters;
    return settings_of(given.profile, none, {.context = 8192, .slots = 1}, devices, cores).batch;
  };
  EXPECT_EQ(batch(268'000'000, 2, false), 256U);
  EXPECT_EQ(batch(8'000'000'000, 8, false), 64U);
  EXPECT_EQ(batch(70'000'000'000, 2, false), 32U);
  EXPECT_EQ(batch(70'000'000'000, 2, true), 512U);
}

}  // namespace
}  // namespace berth::backends::llama_box
