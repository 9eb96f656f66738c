#include "server/device_views.h"

#include "base/clock.h"
#include "server/device_figures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::server {
namespace {

using testing::HasSubstr;
using testing::Not;

model::Worker worker() {
  model::Worker worker{.name = "box1"};
  worker.devices = {{.id = "cpu", .memory = 64_GiB, .used = 4_GiB},
                    {.id = "cuda:0",
                     .kind = model::DeviceKind::cuda,
                     .name = "NVIDIA H100",
                     .memory = 80_GiB,
                     .used = 30_GiB,
                     .utilisation = 50,
                     .temperature = 41}};
  return worker;
}

model::Instance instance(model::InstanceState state = model::InstanceState::ready) {
  model::Instance instance{.name = "chat-1", .model = "chat", .generation = 2, .state = state};
  instance.placement = model::Placement{
      .worker = "box1", .claim = {.devices = {{.device = "cuda:0", .weights = 40_GiB}}}};
  return instance;
}

cluster::WorkerReport report() {
  cluster::WorkerReport report{.worker = "box1", .sequence = 1};
  report.devices = worker().devices;
  report.instances.push_back(
      {.instance = "chat-1", .generation = 2, .device_memory = {{"cuda:0", 25_GiB}}});
  return report;
}

class DeviceStatuses : public testing::Test {
 protected:
  WorkerRegistry registry_{real_clock()};
};

TEST_F(DeviceStatuses, TellClaimsOthersAndWhatIsFree) {
  registry_.accept(report());
  const auto all = device_statuses({worker()}, {instance()}, registry_);
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].device.id, "cpu");
  EXPECT_EQ(all[0].figures.free, 60_GiB);
  const auto& figures = all[1].figures;
  EXPECT_EQ(figures.worker, "box1");
  EXPECT_EQ(figures.claimed, 40_GiB);
  EXPECT_EQ(figures.others, 5_GiB);
  EXPECT_EQ(figures.free, 35_GiB);
  ASSERT_EQ(figures.claims.size(), 1U);
  EXPECT_EQ(figures.claims[0].instance, "chat-1");
  EXPECT_EQ(figures.claims[0].used, 25_GiB);
}

TEST_F(DeviceStatuses, CountAnInstanceThatHasNotStarted) {
  const auto all = device_statuses({worker()}, {instance()}, registry_);
  EXPECT_EQ(all[1].figures.others, 30_GiB);
  EXPECT_EQ(all[1].figures.free, 10_GiB);
}

TEST_F(DeviceStatuses, LeaveOutAnInstanceThatWasGivenUp) {
  const auto all = device_statuses({worker()}, {instance(model::InstanceState::failed)}, registry_);
  EXPECT_EQ(all[1].figures.claimed, 0_B);
  EXPECT_TRUE(all[1].figures.claims.empty());
}

TEST_F(DeviceStatuses, AreFiguresForMonitoringToo) {
  registry_.accept(report());
  const auto text = device_figures(registry_);
  EXPECT_THAT(text, HasSubstr(R"(berth_device_memory_bytes{device="cuda:0",name="NVIDIA H100",)"
                              R"(worker="box1"} 85899345920)"));
  EXPECT_THAT(text, HasSubstr(R"(berth_device_memory_engine_bytes{device="cuda:0",)"));
  EXPECT_THAT(text, HasSubstr(R"(name="NVIDIA H100",worker="box1"} 26843545600)"));
  EXPECT_THAT(text, HasSubstr(R"(berth_device_utilisation_ratio{device="cuda:0",)"));
  EXPECT_THAT(text, Not(HasSubstr("berth_device_power_watts{")));
}

}  // namespace
}  // namespace berth::server
