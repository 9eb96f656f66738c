#include "process/process_table.h"

#include "process/memory_usage.h"
#include "process/platform/process_info.h"
#include "process/shim_fixture.h"
#include "process/spawn.h"

#include <algorithm>
#include <csignal>

#include <gmock/gmock.h>
#include <unistd.h>

namespace berth::process {
namespace {

class ProcessTable : public ShimFixture {
 protected:
  // A process with our tag that no shim owns.
  [[nodiscard]] Child stray() const {
    auto child =
        spawn({.argv = {"/bin/sleep", "1000"}, .environment = {{{"BERTH_CLUSTER", tag_}}}});
    EXPECT_TRUE(child);
    EXPECT_TRUE(eventually([&] {
      return std::ranges::count(ours(), child->identity, &TaggedProcess::identity) == 1;
    }));
    return *std::move(child);
  }
};

TEST_F(ProcessTable, ListsAShimAndWhatIsBelowIt) {
  start("sleep 1000 & env -i sleep 1001 & touch $D/up; wait");
  ASSERT_TRUE(wait_for_file("up"));
  const pid_t engine = state_at(ShimPhase::running).engine_pid;
  ASSERT_TRUE(
      eventually([&] { return std::ranges::count(ours(), "sleep", &TaggedProcess::name) == 2; }));
  const auto listed = ours();
  EXPECT_EQ(listed.size(), 4U);
  for (const TaggedProcess& process : listed) {
    EXPECT_EQ(process.instance, "chat-0");
    EXPECT_EQ(process.generation, 7U);
    EXPECT_EQ(process.shim, handle_.identity);
    EXPECT_EQ(process.is_shim, process.identity == handle_.identity);
    if (process.name == "sleep") {
      EXPECT_EQ(process.parent, engine);
    }
  }
}

TEST_F(ProcessTable, ListsNothingOfAnotherCluster) {
  start("exec sleep 1000");
  EXPECT_TRUE(list_tagged(tag_ + "x").empty());
  EXPECT_TRUE(list_tagged(tag_.substr(0, 8)).empty());
  EXPECT_TRUE(list_tagged("").empty());
}

TEST_F(ProcessTable, SweepKillsStraysAndKeepsLiveShims) {
  start("exec sleep 1000");
  state_at(ShimPhase::running);
  const Child child = stray();
  const SweepResult swept = sweep(tag_);
  ASSERT_EQ(swept.killed.size(), 1U);
  EXPECT_EQ(swept.killed.front().identity, child.identity);
  Pidfd::ExitStatus status;
  ASSERT_TRUE(child.pidfd.reap(&status));
  EXPECT_EQ(status.signal, SIGKILL);
  EXPECT_EQ(ours().size(), 2U);
}

TEST_F(ProcessTable, SweepEndsShimsThatAreNotToBeKept) {
  start("setsid sleep 1000 & exec sleep 1000");
  state_at(ShimPhase::running);
  ASSERT_TRUE(eventually([&] { return ours().size() == 3; }));
  const SweepResult swept =
      sweep(tag_, [](const TaggedProcess& shim) { return shim.generation != 7; });
  EXPECT_EQ(swept.killed.size(), 3U);
  EXPECT_TRUE(ours().empty());
}

TEST_F(ProcessTable, AProcessIsKnownByItsStartTimeToo) {
  const Child child = stray();
  ProcessIdentity other = child.identity;
  other.start_time += 1;
  EXPECT_TRUE(Pidfd::open(child.identity));
  EXPECT_EQ(Pidfd::open(other).error().code, ErrorCode::not_found);
  ASSERT_TRUE(child.pidfd.send(SIGKILL));
  ASSERT_TRUE(child.pidfd.wait(kPatience));
  EXPECT_EQ(Pidfd::open(child.identity).error().code, ErrorCode::not_found);
  EXPECT_TRUE(child.pidfd.reap());
}

TEST_F(ProcessTable, MemoryOfATreeIncludesTheChildren) {
  start("sleep 1000 & touch $D/up; wait");
  ASSERT_TRUE(wait_for_file("up"));
  ASSERT_TRUE(eventually([&] { return ours().size() == 3; }));
  const auto tree = memory_usage_of_tree(handle_.identity.pid);
  const auto alone = memory_usage(handle_.identity.pid);
  ASSERT_TRUE(tree && alone);
  EXPECT_GT(alone->resident().count, 0U);
  EXPECT_GT(tree->anonymous, alone->anonymous);
  EXPECT_EQ(resident_bytes(handle_.identity.pid)->count > 0, true);
  EXPECT_EQ(memory_usage(0x3fffff).error().code, ErrorCode::not_found);
}

TEST(ProcessInfo, ReadsANameWithSpacesAndParentheses) {
  const auto info = platform::parse_stat(
      "12 (a) b (c) S 3 12 12 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 98765 1000 5 1844\n");
  ASSERT_TRUE(info);
  EXPECT_EQ(info->pid, 12);
  EXPECT_EQ(info->name, "a) b (c");
  EXPECT_EQ(info->state, 'S');
  EXPECT_EQ(info->parent, 3);
  EXPECT_EQ(info->group, 12);
  EXPECT_EQ(info->start_time, 98765U);
}

TEST(ProcessInfo, RefusesWhatIsNoStatLine) {
  for (const char* text : {"", "1", "1 (x", "1 (x) S", ") 1 (", "x (y) S 1 1", "1 (x) S 1 1 1 1"}) {
    EXPECT_FALSE(platform::parse_stat(text)) << text;
  }
}

TEST(ProcessInfo, KnowsThisProcess) {
  const auto info = platform::process_info(::getpid());
  ASSERT_TRUE(info);
  EXPECT_EQ(info->parent, ::getppid());
  EXPECT_FALSE(info->is_zombie());
}

}  // namespace
}  // namespace berth::process
