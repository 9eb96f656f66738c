#include "worker/engine_group.h"

#include <cstdlib>
#include <filesystem>

#include <gtest/gtest.h>

namespace berth::worker {
namespace {

namespace fs = std::filesystem;

model::Assignment claiming(std::vector<model::DeviceClaim> devices) {
  return {.instance = "chat-x7k2",
          .generation = 3,
          .placement = {.claim = {.devices = std::move(devices)}}};
}

TEST(MemoryLimit, IsWellBeyondTheClaim) {
  const auto small = claiming({{.device = "cpu", .weights = 300_MiB, .runtime = 212_MiB}});
  EXPECT_EQ(memory_limit(small), 512_MiB + 2_GiB);
  const auto large = claiming({{.device = "cpu", .weights = 60_GiB, .kv_cache = 20_GiB}});
  EXPECT_EQ(memory_limit(large), 120_GiB);
}

TEST(MemoryLimit, CountsOnlyWhatTheWorkerItselfGivesAndAGibibyteForEachDriver) {
  const auto mixed = claiming({{.device = "cuda:0", .weights = 60_GiB},
                               {.device = "cpu", .weights = 1_GiB, .runtime = 1_GiB}});
  EXPECT_EQ(memory_limit(mixed), 2_GiB + 2_GiB + 1_GiB);
}

TEST(MemoryLimit, OfAPartOnAnotherWorkerIsThatOfThePart) {
  auto gang = claiming({{.device = "cpu", .weights = 60_GiB}});
  gang.placement.subordinates = {{.worker = "b", .devices = {{.device = "cpu", .weights = 8_GiB}}}};
  gang.member = 1;
  EXPECT_EQ(memory_limit(gang), 12_GiB);
}

TEST(MemoryLimit, IsNoneWithoutAClaimOrWhereNoneIsWanted) {
  EXPECT_EQ(memory_limit(claiming({{.device = "cuda:0", .weights = 60_GiB}})), std::nullopt);
  auto free = claiming({{.device = "cpu", .weights = 1_GiB}});
  free.deployment.memory_limit = model::MemoryLimit::off;
  EXPECT_EQ(memory_limit(free), std::nullopt);
}

TEST(GroupName, TellsClusterInstanceAndAttempt) {
  const auto assignment = claiming({});
  EXPECT_EQ(group_name("tag", assignment, 12), "berth-tag-chat-x7k2.3.0.12");
  EXPECT_EQ(group_prefix("tag", assignment), "berth-tag-chat-x7k2.3.0.");
  EXPECT_EQ(group_prefix("tag"), "berth-tag-");
}

class EngineGroups : public ::testing::Test {
 protected:
  EngineGroups() {
    std::string pattern = (fs::temp_directory_path() / "berth-groups-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    groups_.emplace(folder_);
  }
  ~EngineGroups() override { fs::remove_all(folder_); }

  fs::path folder_;
  Groups groups_;
};

TEST_F(EngineGroups, OfAnInstanceEndTogetherAndOthersStay) {
  auto assignment = claiming({});
  const auto first = make_group(groups_, "tag", assignment, 1);
  const auto second = make_group(groups_, "tag", assignment, 2);
  assignment.generation = 33;
  const auto other = make_group(groups_, "tag", assignment, 1);
  assignment.generation = 3;
  end_groups(groups_, group_prefix("tag", assignment), {second});
  EXPECT_FALSE(fs::exists(first));
  EXPECT_TRUE(fs::exists(second));
  EXPECT_TRUE(fs::exists(other));
}

TEST_F(EngineGroups, ThatCanNotBeMadeAreDoneWithout) {
  const Groups nowhere(folder_ / "none");
  EXPECT_EQ(make_group(nowhere, "tag", claiming({}), 1), fs::path());
  EXPECT_EQ(make_group(std::nullopt, "tag", claiming({}), 1), fs::path());
}

}  // namespace
}  // namespace berth::worker
