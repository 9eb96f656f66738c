#include "base/bytes.h"
#include "base/clock.h"
#include "base/files.h"
#include "base/ids.h"
#include "base/log.h"

#include <filesystem>

#include <gtest/gtest.h>

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

TEST_F(FilesTest, ALockHasOneOwner) {
  auto first = FileLock::try_acquire(folder_ / "lock");
  ASSERT_TRUE(first);
  EXPECT_EQ(FileLock::try_acquire(folder_ / "lock").error().code, ErrorCode::conflict);
  {
    const auto dropped = std::move(*first);
  }
  EXPECT_TRUE(FileLock::try_acquire(folder_ / "lock"));
}

}  // namespace
}  // namespace berth
