#include "worker/held_memory.h"

#include <gtest/gtest.h>

namespace berth::worker {
namespace {

using Processes = std::vector<devices::ProcessUse>;

constexpr pid_t kEngine = 70;
constexpr pid_t kItsChild = 71;
constexpr pid_t kOther = 9;

const std::vector<model::DeviceClaim> kClaims{{.device = "cuda:0", .weights = 40_GiB},
                                              {.device = "cpu", .weights = 8_GiB}};

devices::Sample look(Bytes used, Processes processes = {}) {
  return {.devices = {{.id = "cuda:0", .memory = 80_GiB, .used = used}},
          .processes = std::move(processes)};
}
devices::Sample blind() {
  auto sample = look({});
  sample.devices[0].measured = false;
  return sample;
}
devices::ProcessUse use(pid_t pid, Bytes memory) {
  return {.pid = pid, .device = "cuda:0", .memory = memory};
}

// An engine with 32 GiB, of which the driver names the processes, beside another with 10 GiB.
HeldMemory named() {
  HeldMemory held(kClaims, look(10_GiB, {use(kOther, 10_GiB)}));
  held.see({kEngine, kItsChild},
           look(42_GiB, {use(kOther, 10_GiB), use(kEngine, 30_GiB), use(kItsChild, 2_GiB)}));
  return held;
}

TEST(HeldMemory, IsFreeOnceItsProcessesAndTheirMemoryAreGone) {
  EXPECT_TRUE(named().is_free(look(10_GiB, {use(kOther, 10_GiB)})));
}

TEST(HeldMemory, IsNotFreeWhileAProcessOfTheEngineHasSome) {
  EXPECT_FALSE(named().is_free(look(12_GiB, {use(kOther, 10_GiB), use(kItsChild, 2_GiB)})));
}

TEST(HeldMemory, IsNotFreeWhileTheDeviceIsAsFullAsBefore) {
  EXPECT_FALSE(named().is_free(look(42_GiB, {use(kOther, 10_GiB)})));
  EXPECT_FALSE(named().is_free(look(30_GiB, {use(kOther, 10_GiB)})));
}

TEST(HeldMemory, IsNotMistakenForWhatOthersTookMeanwhile) {
  EXPECT_TRUE(named().is_free(look(60_GiB, {use(kOther, 60_GiB)})));
  EXPECT_FALSE(named().is_free(look(33_GiB, {use(kOther, 1_GiB)})));  // one gave 9 GiB back
}

TEST(HeldMemory, LeavesALittleForWhatDriversKeep) {
  EXPECT_TRUE(named().is_free(look(17_GiB, {use(kOther, 10_GiB)})));
}

// In a container the driver's process numbers are not ours.
TEST(HeldMemory, IsKnownByTheDeviceWhereProcessesAreNot) {
  HeldMemory held(kClaims, look(10_GiB));
  held.see({kEngine}, look(42_GiB, {use(4711, 32_GiB)}));
  EXPECT_FALSE(held.is_free(look(42_GiB, {use(4711, 32_GiB)})));
  EXPECT_FALSE(held.is_free(look(30_GiB)));
  EXPECT_TRUE(held.is_free(look(11_GiB)));
}

TEST(HeldMemory, OfAnEngineThatDiedBeforeAnyLookIsMeasuredFromItsStart) {
  const HeldMemory held(kClaims, look(10_GiB));
  EXPECT_FALSE(held.is_free(look(42_GiB)));
  EXPECT_TRUE(held.is_free(look(10_GiB)));
}

TEST(HeldMemory, OfAnEngineWhoseLastLookWasEarlyIsNotForgotten) {
  HeldMemory held(kClaims, look(10_GiB));
  held.see({kEngine}, look(10_GiB));
  EXPECT_FALSE(held.is_free(look(42_GiB)));
  EXPECT_TRUE(held.is_free(look(10_GiB)));
}

TEST(HeldMemory, OfAnEngineFoundRunningIsJudgedByItsClaim) {
  HeldMemory held(kClaims, {});
  held.see({kEngine}, look(42_GiB));
  EXPECT_FALSE(held.is_free(look(42_GiB)));
  EXPECT_TRUE(held.is_free(look(10_GiB)));
}

TEST(HeldMemory, IsNotFreeWhereTheFiguresAreLost) {
  EXPECT_FALSE(named().is_free(blind()));
  EXPECT_FALSE(named().is_free({}));
}

TEST(HeldMemory, OfADeviceWithoutFiguresIsNotWaitedFor) {
  HeldMemory held(kClaims, blind());
  held.see({kEngine}, blind());
  EXPECT_TRUE(held.is_free(blind()));
}

TEST(HeldMemory, IsNoneOnTheCpu) {
  EXPECT_TRUE(HeldMemory({{.device = "cpu", .weights = 8_GiB}}, {}).is_empty());
  EXPECT_TRUE(HeldMemory().is_empty());
  EXPECT_FALSE(named().is_empty());
}

}  // namespace
}  // namespace berth::worker
