#include "worker/member_folder.h"

#include "base/files.h"
#include "base/ids.h"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

namespace berth::worker {
namespace {

class MemberFolderTest : public testing::Test {
 protected:
  MemberFolderTest()
      : data_{.root = std::filesystem::temp_directory_path() / ("berth-member-" + random_id())} {}
  ~MemberFolderTest() override { std::filesystem::remove_all(data_.root); }

  void write_log(const MemberFolder& folder, std::uint32_t attempt) {
    std::ofstream(folder.log(attempt)) << "log " << attempt << "\n";
  }

  DataFolder data_;
};

TEST_F(MemberFolderTest, ANoteIsFoundAgain) {
  const MemberFolder folder(data_, "chat-x", 2, 0);
  ASSERT_TRUE(folder.create());
  ASSERT_TRUE(folder.write_note(
      {.instance = "chat-x", .generation = 2, .attempt = 3, .failures = 1, .port = 20001}));
  const auto found = find_member_folders(data_);
  ASSERT_EQ(found.size(), 1U);
  const auto note = found[0].read_note();
  ASSERT_TRUE(note);
  EXPECT_EQ(note->generation, 2U);
  EXPECT_EQ(note->attempt, 3U);
  EXPECT_EQ(note->port, 20001);
  folder.remove();
  EXPECT_TRUE(find_member_folders(data_).empty());
}

TEST_F(MemberFolderTest, TheLogAskedForIsOfTheNewestGeneration) {
  const MemberFolder old(data_, "chat-x", 9, 0);
  const MemberFolder current(data_, "chat-x", 10, 0);
  ASSERT_TRUE(old.create());
  ASSERT_TRUE(current.create());
  write_log(old, 7);
  write_log(current, 1);
  write_log(current, 2);
  const auto logs = list_logs(data_, "chat-x").value();
  EXPECT_EQ(logs.size(), 2U);
  EXPECT_EQ(choose_log(logs, "chat-x", {}, false)->path, current.log(2));
  EXPECT_EQ(choose_log(logs, "chat-x", {}, true)->path, current.log(1));
  EXPECT_EQ(choose_log(logs, "chat-x", 1, false)->path, current.log(1));
  EXPECT_EQ(choose_log(logs, "chat-x", 7, false).error().code, ErrorCode::not_found);
}

TEST_F(MemberFolderTest, EachMemberOfAGangHasItsLogs) {
  const MemberFolder main(data_, "chat-x", 3, 0);
  const MemberFolder helper(data_, "chat-x", 3, 1);
  ASSERT_TRUE(main.create());
  ASSERT_TRUE(helper.create());
  write_log(main, 1);
  write_log(helper, 1);
  write_log(helper, 2);
  EXPECT_EQ(list_logs(data_, "chat-x").value().size(), 1U);
  EXPECT_EQ(list_logs(data_, "chat-x", 1).value().back().path, helper.log(2));
  EXPECT_EQ(list_logs(data_, "chat-x", 2).error().code, ErrorCode::not_found);
}

TEST_F(MemberFolderTest, NoNameLeadsOutOfTheFolder) {
  for (const char* name : {"", ".", "..", "../chat", "a/b", "none"}) {
    EXPECT_FALSE(list_logs(data_, name)) << name;
  }
}

TEST_F(MemberFolderTest, OnlyTheLastLogsAreKept) {
  const MemberFolder folder(data_, "chat-x", 1, 0);
  ASSERT_TRUE(folder.create());
  for (std::uint32_t attempt = 1; attempt <= 12; ++attempt) {
    write_log(folder, attempt);
    for (const char* beside : {".1", ".times"}) {
      ASSERT_TRUE(write_file_atomic(folder.log(attempt).string() + beside, "x", 0600));
    }
  }
  folder.forget_old_logs(12, 10);
  for (const char* beside : {"", ".1", ".times"}) {
    EXPECT_FALSE(std::filesystem::exists(folder.log(2).string() + beside)) << beside;
    EXPECT_TRUE(std::filesystem::exists(folder.log(3).string() + beside)) << beside;
  }
  EXPECT_TRUE(std::filesystem::exists(folder.path()));
}

TEST(LogHead, KeepsEachVariableOnItsLine) {
  model::LaunchPlan plan;
  plan.argv = {"/bin/engine"};
  plan.env = {{.name = "A", .value = "1\nAddress already in use", .owner = model::Owner::user}};
  const auto head = log_head({.instance = "i", .attempt = 1}, plan, "now");
  EXPECT_NE(head.find("A=1\\nAddress already in use  (user)"), std::string::npos) << head;
  EXPECT_EQ(head.find("\nAddress"), std::string::npos) << head;
}

TEST(LogHead, ShowsWhoDecidedEachVariableAndHidesSecrets) {
  model::LaunchPlan plan;
  plan.argv = {"/bin/engine", "--alias", "two words"};
  plan.env = {{.name = "A", .value = "1", .owner = model::Owner::user},
              {.name = "KEY", .value = "s3cret", .owner = model::Owner::berth, .secret = true}};
  plan.notes = {"asked x; in force y"};
  const auto head = log_head({.instance = "i", .attempt = 2}, plan, "now");
  EXPECT_NE(head.find("A=1  (user)"), std::string::npos) << head;
  EXPECT_NE(head.find("asked x; in force y"), std::string::npos) << head;
  EXPECT_NE(head.find("'two words'"), std::string::npos) << head;
  EXPECT_EQ(head.find("s3cret"), std::string::npos) << head;
}

}  // namespace
}  // namespace berth::worker
