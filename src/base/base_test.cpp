#include "base/bytes.h"
#include "base/clock.h"
#include "base/data_folder.h"
#include "base/files.h"
#include "base/ids.h"
#include "base/log.h"

#include <filesystem>
#include <memory>
#include <sstream>

#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

namespace berth {
namespace {

TEST(Bytes, PrintsAndReads) {
  EXPECT_EQ(to_string(12_B), "12 B");
  EXPECT_EQ(to_string(1536_MiB), "1.5 GiB");
  EXPECT_EQ(parse_bytes("24GiB").value(), 24_GiB);
  EXPECT_EQ(parse_bytes("512 mb").value(), 512_MiB);
  EXPECT_EQ(parse_bytes("4096").value(), 4_KiB);
  for (const char* bad : {"", "x", "-1", "1 QiB", "1GiBx", "nan", "1e300"}) {
    EXPECT_FALSE(parse_bytes(bad)) << bad;
  }
}

TEST(Bytes, NeverBelowZero) { EXPECT_EQ(1_GiB - 2_GiB, 0_B); }

TEST(Error, ContextKeepsTheCauses) {
  auto error = make_error(ErrorCode::io, "inner").context("reading {}", "x");
  EXPECT_EQ(error.to_string(), "reading x: inner");
}

TEST(Redact, HidesSecretsAndKeepsWords) {
  const std::string key = random_key();
  EXPECT_EQ(redact("key " + key + " end"), "key berth_*** end");
  EXPECT_EQ(redact("Authorization: Bearer abc"), "Authorization: Bearer ***");
  EXPECT_EQ(redact("berth_store is a library"), "berth_store is a library");
}

TEST(Ids, KeysAreLongAndDifferent) {
  EXPECT_NE(random_key(), random_key());
  EXPECT_EQ(random_key().size(), 6U + 43U);
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Clock, PrintsRfc3339) {
  EXPECT_EQ(to_rfc3339(SystemTime(std::chrono::milliseconds(1'500))), "1970-01-01T00:00:01.500Z");
}

class FilesTest : public testing::Test {
 protected:
  FilesTest() : folder_(std::filesystem::temp_directory_path() / ("berth-" + random_id())) {
    std::filesystem::create_directories(folder_);
  }
  ~FilesTest() override { std::filesystem::remove_all(folder_); }
  std::filesystem::path folder_;
};

TEST_F(FilesTest, WritesWholeOrNotAtAll) {
  const auto path = folder_ / "a";
  ASSERT_TRUE(write_file_atomic(path, "one\ntwo\nthree\n", 0600));
  EXPECT_EQ(read_file(path).value(), "one\ntwo\nthree\n");
  EXPECT_EQ(read_last_lines(path, 2), "two\nthree\n");
  EXPECT_EQ(read_last_lines(path, 9), "one\ntwo\nthree\n");
  EXPECT_FALSE(write_file_atomic(folder_ / "no" / "b", "x"));
  EXPECT_EQ(read_file(folder_ / "none").error().code, ErrorCode::not_found);
  EXPECT_EQ(read_file(path, 4_B).error().code, ErrorCode::too_large);
}

TEST_F(FilesTest, WhatAKilledWriterLeftIsRemovedAfterAMinute) {
  const auto long_ago = std::filesystem::file_time_type::clock::now() - std::chrono::hours(1);
  for (const char* name : {"key.abc123.tmp", "key", "mine.tmp", "abc123.tmp"}) {
    ASSERT_TRUE(write_file_atomic(folder_ / name, "x"));
    std::filesystem::last_write_time(folder_ / name, long_ago);
  }
  ASSERT_TRUE(write_file_atomic(folder_ / "young.abc123.tmp", "x"));
  remove_unfinished_writes(folder_);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "key.abc123.tmp"));
  for (const char* name : {"key", "mine.tmp", "abc123.tmp", "young.abc123.tmp"}) {
    EXPECT_TRUE(std::filesystem::exists(folder_ / name)) << name;
  }
}

TEST_F(FilesTest, ALockHasOneOwner) {
  auto first = FileLock::try_acquire(folder_ / "lock");
  ASSERT_TRUE(first);
  EXPECT_EQ(FileLock::try_acquire(folder_ / "lock").error().code, ErrorCode::conflict);
  {
    const auto dropped = std::move(*first);
  }
  EXPECT_TRUE(FileLock::try_acquire(folder_ / "lock"));
}

TEST_F(FilesTest, ALockIsNotMadeWhereALinkLeads) {
  std::filesystem::create_symlink(folder_ / "elsewhere", folder_ / "link");
  const auto refused = FileLock::try_acquire(folder_ / "link");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::io);
  EXPECT_NE(refused.error().message.find("is a symbolic link; move it away"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "elsewhere"));
}

TEST_F(FilesTest, ADataFolderThatCanNotBeWrittenIsRefusedWithTheRemedy) {
  const DataFolder data{.root = folder_ / "data"};
  ASSERT_TRUE(create_data_folder(data));
  EXPECT_EQ(std::filesystem::status(data.root).permissions(), std::filesystem::perms::owner_all);
  ASSERT_TRUE(create_data_folder(data));
  // Root may write whatever the mode: be somebody else meanwhile.
  const bool root = ::geteuid() == 0;
  std::filesystem::permissions(data.root, std::filesystem::perms(0555));
  if (root) ASSERT_EQ(::seteuid(65534), 0);
  const auto refused = create_data_folder(data);
  if (root) ASSERT_EQ(::seteuid(0), 0);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::io);
  EXPECT_NE(refused.error().message.find(data.root.string()), std::string::npos);
  EXPECT_NE(refused.error().message.find("its mode"), std::string::npos);
}

TEST(LogErrorSparingly, TellsTheSameOnlyOnce) {
  std::ostringstream out;
  const auto before = spdlog::default_logger();
  spdlog::set_default_logger(std::make_shared<spdlog::logger>(
      "test", std::make_shared<spdlog::sinks::ostream_sink_mt>(out)));
  for (int i = 0; i < 3; ++i) {
    log_error_sparingly("the disk is full");
    log_error_sparingly("the disk is gone");
  }
  spdlog::set_default_logger(before);
  const std::string text = out.str();
  for (const std::string_view told : {"the disk is full", "the disk is gone"}) {
    const auto first = text.find(told);
    ASSERT_NE(first, std::string::npos);
    EXPECT_EQ(text.find(told, first + 1), std::string::npos);
  }
}

}  // namespace
}  // namespace berth
