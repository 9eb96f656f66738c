#include "process/cpu_time.h"

#include "process/spawn.h"

#include <csignal>

#include <gtest/gtest.h>
#include <unistd.h>

namespace berth::process {
namespace {

TEST(CpuTimeOfTree, GrowsWhileADescendantComputes) {
  const auto child = spawn({.argv = {"sh", "-c", "(while :; do :; done) & wait"}});
  ASSERT_TRUE(child);
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  Duration used{0};
  while (used.count() == 0 && std::chrono::steady_clock::now() < until) {
    used = cpu_time_of_tree(child->identity.pid).value_or(Duration(0));
  }
  EXPECT_GT(used.count(), 0);
  ::kill(-child->identity.pid, SIGKILL);
  EXPECT_TRUE(child->pidfd.wait(std::chrono::seconds(10)));
  child->pidfd.reap();
}

TEST(CpuTimeOfTree, FailsForAProcessThatIsNotThere) {
  const auto child = spawn({.argv = {"true"}});
  ASSERT_TRUE(child);
  ASSERT_TRUE(child->pidfd.wait(std::chrono::seconds(10)));
  ASSERT_TRUE(child->pidfd.reap());
  const auto used = cpu_time_of_tree(child->identity.pid);
  ASSERT_FALSE(used);
  EXPECT_EQ(used.error().code, ErrorCode::not_found);
}

}  // namespace
}  // namespace berth::process
