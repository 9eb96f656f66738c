#include "estimate/measured.h"

#include <gtest/gtest.h>

namespace berth::estimate {
namespace {

using enum model::ComputeRole;

const model::ComputeTable kTable{.build = "b1",
                                 .figures = {{cpu_alone, 4096, 1, 100_MiB, {}},
                                             {cpu_alone, 8192, 1, 150_MiB, {}},
                                             {device_whole, 8192, 4, 70_MiB, {}},
                                             {projector_on_cpu, 8192, 1, 20_MiB, {}},
                                             {projector_on_cpu, 4096, 1, 30_MiB, {}}}};

std::optional<Bytes> find(model::ComputeRole role, std::uint32_t context, std::uint32_t slots) {
  const auto* figure = measured(&kTable, role, {.context = context, .slots = slots});
  return figure == nullptr ? std::nullopt : std::optional(figure->size);
}

TEST(Measured, HoldsForShorterContextsAndTheSameSlots) {
  EXPECT_EQ(find(cpu_alone, 4096, 1), 100_MiB);
  EXPECT_EQ(find(cpu_alone, 4090, 1), 100_MiB);
  EXPECT_EQ(find(cpu_alone, 4097, 1), 150_MiB);
  EXPECT_EQ(find(cpu_alone, 8192, 1), 150_MiB);
  EXPECT_EQ(find(cpu_alone, 8193, 1), std::nullopt);
  EXPECT_EQ(find(cpu_alone, 4096, 4), std::nullopt);
  EXPECT_EQ(find(device_whole, 4096, 4), 70_MiB);
  EXPECT_EQ(find(host_whole, 4096, 4), std::nullopt);
}

TEST(Measured, IsNothingWithoutATable) {
  EXPECT_EQ(measured(nullptr, cpu_alone, {.context = 1}), nullptr);
  EXPECT_EQ(measured_at_most(nullptr, projector_on_cpu), std::nullopt);
}

TEST(Measured, TakesAProjectorsLargestFigure) {
  EXPECT_EQ(measured_at_most(&kTable, projector_on_cpu), 30_MiB);
  EXPECT_EQ(measured_at_most(&kTable, projector_on_device), std::nullopt);
}

}  // namespace
}  // namespace berth::estimate
