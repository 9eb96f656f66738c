#include "server/worker_registry.h"

#include <gtest/gtest.h>

namespace berth::server {
namespace {

using Heard = WorkerRegistry::Heard;

std::vector<model::PackStatus> packs(std::string name) {
  return {{.pack = {.name = std::move(name)}}};
}

model::Device gpu(Bytes used) { return {.id = "cuda:0", .memory = 80_GiB, .used = used}; }

class WorkerRegistryTest : public ::testing::Test {
 protected:
  // The next report, without packs.
  cluster::WorkerReport report() {
    return {.worker = "w", .sequence = ++sequence_, .packs_as_before = true};
  }
  ManualClock clock_;
  WorkerRegistry registry_{clock_};
  std::uint64_t sequence_ = 0;
};

TEST_F(WorkerRegistryTest, KeepsThePacksOfTheRegistration) {
  registry_.registered("w", packs("a"));
  EXPECT_EQ(registry_.find("w"), nullptr) << "it has not reported";
  EXPECT_EQ(registry_.accept(report()), Heard::news);
  EXPECT_EQ(registry_.packs("w")->front().pack.name, "a");
}

TEST_F(WorkerRegistryTest, TakesPacksThatAReportTells) {
  registry_.registered("w", packs("a"));
  auto told = report();
  told.packs_as_before = false;
  told.packs = packs("b");
  EXPECT_EQ(registry_.accept(told), Heard::news);
  EXPECT_EQ(registry_.accept(report()), Heard::routine);
  EXPECT_EQ(registry_.packs("w")->front().pack.name, "b");
}

TEST_F(WorkerRegistryTest, CanNotCompleteAReportOfAWorkerThatToldNoPacks) {
  EXPECT_EQ(registry_.accept(report()), Heard::unclear);
  EXPECT_EQ(registry_.find("w"), nullptr);
  EXPECT_EQ(registry_.heard("w"), std::nullopt);
}

TEST_F(WorkerRegistryTest, ReportsOfLateAreThoseOfTheLastSeconds) {
  EXPECT_FALSE(registry_.still_reports("w"));
  registry_.registered("w", packs("a"));
  registry_.accept(report());
  clock_.advance(std::chrono::seconds(9));
  EXPECT_TRUE(registry_.still_reports("w"));
  clock_.advance(std::chrono::seconds(2));
  EXPECT_FALSE(registry_.still_reports("w"));
}

TEST_F(WorkerRegistryTest, DropsAReportThatIsOlderThanTheLast) {
  registry_.registered("w", packs("a"));
  const auto late = report();
  EXPECT_EQ(registry_.accept(report()), Heard::news);
  EXPECT_EQ(registry_.accept(late), Heard::older);
  registry_.registered("w", packs("a"));
  EXPECT_EQ(registry_.accept(late), Heard::news) << "a registration starts a new count";
}

TEST_F(WorkerRegistryTest, OnlyWhatIsUsedNowIsRoutine) {
  registry_.registered("w", packs("a"));
  auto now = report();
  now.devices = {gpu(1_GiB)};
  now.instances = {{.instance = "i", .state = model::InstanceState::starting}};
  EXPECT_EQ(registry_.accept(now), Heard::news);
  const auto next = [&](auto change) {
    now.sequence = ++sequence_;
    change(now);
    return registry_.accept(now);
  };
  EXPECT_EQ(next([](auto& r) { r.devices = {gpu(2_GiB)}; }), Heard::routine);
  EXPECT_EQ(next([](auto& r) { r.instances[0].state = model::InstanceState::ready; }), Heard::news);
  EXPECT_EQ(next([](auto& r) { r.instances[0].resident = 1_GiB; }), Heard::news);
  EXPECT_EQ(next([](auto& r) { r.instances[0].resident = 2_GiB; }), Heard::routine);
  EXPECT_EQ(next([](auto& r) { r.instances.clear(); }), Heard::news);
  EXPECT_EQ(next([](auto& r) { r.devices[0].measured = false; }), Heard::news);
  EXPECT_EQ(next([](auto& r) { r.devices.clear(); }), Heard::news);
  EXPECT_EQ(next([](auto& r) { r.revision = 7; }), Heard::news);
  EXPECT_EQ(next([](auto&) {}), Heard::routine);
}

TEST_F(WorkerRegistryTest, AWorkerThatWasAwayIsNews) {
  registry_.registered("w", packs("a"));
  registry_.accept(report());
  clock_.advance(kLateReport);
  EXPECT_EQ(registry_.accept(report()), Heard::news);
}

TEST_F(WorkerRegistryTest, EqualPacksOfSeveralWorkersAreKeptOnce) {
  registry_.registered("w", packs("a"));
  registry_.registered("v", packs("a"));
  registry_.registered("u", packs("b"));
  EXPECT_EQ(registry_.packs("w"), registry_.packs("v"));
  EXPECT_NE(registry_.packs("w"), registry_.packs("u"));
}

TEST_F(WorkerRegistryTest, ForgetsAWorkerWithItsPacks) {
  registry_.registered("w", packs("a"));
  registry_.forget("w");
  EXPECT_EQ(registry_.packs("w"), nullptr);
  EXPECT_EQ(registry_.accept(report()), Heard::unclear);
}

}  // namespace
}  // namespace berth::server
