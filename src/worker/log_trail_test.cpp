#include "worker/log_trail.h"

#include "base/files.h"

#include <cstdlib>
#include <fstream>

#include <gtest/gtest.h>

namespace berth::worker {
namespace {

namespace fs = std::filesystem;

SystemTime at(std::int64_t seconds) { return SystemTime(std::chrono::seconds(seconds)); }

class LogTrailTest : public ::testing::Test {
 protected:
  LogTrailTest() {
    std::string pattern = (fs::temp_directory_path() / "berth-trail-XXXXXX").string();
    data_.root = ::mkdtemp(pattern.data());
    EXPECT_TRUE(folder().create());
  }
  ~LogTrailTest() override { fs::remove_all(data_.root); }

  [[nodiscard]] MemberFolder folder(std::uint64_t generation = 1) const {
    return {data_, "chat-x", generation, 0};
  }
  // As the shim does: the time and how long the log was, then the text.
  void write(std::uint32_t attempt, const std::string& text, std::int64_t seconds = 0,
             std::uint64_t generation = 1) const {
    const auto log = folder(generation).log(attempt);
    std::error_code error;
    const auto size = fs::exists(log, error) ? fs::file_size(log, error) : 0;
    if (seconds != 0) {
      std::ofstream(log.string() + ".times", std::ios::app)
          << seconds * 1000 << ' ' << size << '\n';
    }
    std::ofstream(log, std::ios::app) << text;
  }
  [[nodiscard]] LogTrail open(const LogWish& wish) const {
    return LogTrail::of_instance(data_, "chat-x", wish).value();
  }
  // Everything that there is to read now.
  static std::string rest(LogTrail& trail) {
    std::string all;
    for (;;) {
      const auto piece = trail.next().value();
      if (piece.empty()) return all;
      all += piece;
    }
  }
  [[nodiscard]] std::string read(const LogWish& wish) const {
    auto trail = open(wish);
    return rest(trail);
  }

  DataFolder data_;
};

TEST_F(LogTrailTest, ReadsTheLastAttempt) {
  write(1, "one\n");
  write(2, "two\n");
  EXPECT_EQ(read({}), "two\n");
  EXPECT_EQ(read({.previous = true}), "one\n");
  EXPECT_EQ(read({.attempt = 1}), "one\n");
}

TEST_F(LogTrailTest, GivesTheLastLinesAndThenWhatFollows) {
  write(1, "a\nb\nc\n");
  auto trail = open({.tail = 2});
  EXPECT_EQ(rest(trail), "b\nc\n");
  write(1, "d\n");
  EXPECT_EQ(rest(trail), "d\n");
}

TEST_F(LogTrailTest, GoesOnWithTheNextAttempt) {
  write(1, "one\n");
  auto trail = open({});
  EXPECT_EQ(rest(trail), "one\n");
  write(1, "last words\n");
  write(2, "two\n");
  EXPECT_EQ(rest(trail), "last words\ntwo\n");
  EXPECT_FALSE(trail.is_over());
  ASSERT_TRUE(folder(2).create());
  write(1, "a new generation\n", 0, 2);
  EXPECT_EQ(rest(trail), "a new generation\n");
}

TEST_F(LogTrailTest, StaysWithAnAttemptThatIsNamed) {
  write(1, "one\n");
  auto only = open({.attempt = 1});
  EXPECT_EQ(rest(only), "one\n");
  EXPECT_FALSE(only.is_over());
  write(2, "two\n");
  EXPECT_TRUE(only.is_over());
  EXPECT_EQ(rest(only), "");
}

TEST_F(LogTrailTest, IsOverWithTheInstance) {
  write(1, "one\n");
  auto trail = open({});
  EXPECT_FALSE(trail.is_over());
  folder().remove();
  EXPECT_TRUE(trail.is_over());
}

TEST_F(LogTrailTest, GoesOnInTheFileThatReplacesALargeOne) {
  write(1, "old\n");
  auto trail = open({});
  EXPECT_EQ(rest(trail), "old\n");
  fs::rename(folder().log(1), folder().log(1).string() + ".1");
  write(1, "new\n");
  EXPECT_EQ(rest(trail), "");  // sees the other file
  EXPECT_EQ(rest(trail), "new\n");
}

TEST_F(LogTrailTest, BeginsWithWhatWasWrittenSince) {
  write(1, "# head\n");
  write(1, "at 100\n", 100);
  write(1, "at 200\n", 200);
  write(1, "at 300\n", 300);
  EXPECT_EQ(read({.since = at(150)}), "at 200\nat 300\n");
  EXPECT_EQ(read({.since = at(300)}), "at 300\n");
  EXPECT_EQ(read({.since = at(302)}), "");
  EXPECT_EQ(read({.since = at(50)}), "# head\nat 100\nat 200\nat 300\n");
}

TEST_F(LogTrailTest, CountsWhatCameWithinASecondOfItsMark) {
  write(1, "at 100, and\n", 100);
  write(1, "half a second later\n");
  write(1, "at 102\n", 102);
  EXPECT_EQ(read({.since = at(100) + std::chrono::milliseconds(500)}),
            "at 100, and\nhalf a second later\nat 102\n");
}

TEST_F(LogTrailTest, TakesEveryAttemptThatWroteSince) {
  write(1, "one\n", 100);
  write(2, "two\n", 200);
  write(3, "three\n", 300);
  EXPECT_EQ(read({.since = at(150)}), "two\nthree\n");
  EXPECT_EQ(read({.previous = true, .since = at(150)}), "two\n");
  EXPECT_EQ(read({.previous = true, .since = at(250)}), "");
  EXPECT_EQ(read({.tail = 5, .since = at(150)}), "three\n");
}

TEST_F(LogTrailTest, FollowsFromNowOnWhereNothingWasWrittenSince) {
  write(1, "old\n", 100);
  auto trail = open({.since = at(500)});
  EXPECT_EQ(rest(trail), "");
  write(1, "new\n", 600);
  EXPECT_EQ(rest(trail), "new\n");
}

TEST_F(LogTrailTest, TakesTheFilesTimeWhereNoneIsNoted) {
  write(1, "whole\n");
  const auto now = std::chrono::system_clock::now();
  EXPECT_EQ(read({.since = now - std::chrono::hours(1)}), "whole\n");
  EXPECT_EQ(read({.since = now + std::chrono::hours(1)}), "");
}

TEST_F(LogTrailTest, ReadsTheWorkersOwnByTheTimesOfItsLines) {
  EXPECT_EQ(LogTrail::of_worker(data_, {}).error().code, ErrorCode::not_found);
  fs::create_directories(data_.logs());
  std::ofstream(data_.logs() / "worker.log") << "1970-01-01T00:01:40.000+00:00 info worker: one\n"
                                                "  and more\n"
                                                "1970-01-01T00:05:00.000+00:00 info worker: two\n";
  auto late = LogTrail::of_worker(data_, {.since = at(200)}).value();
  EXPECT_EQ(rest(late), "1970-01-01T00:05:00.000+00:00 info worker: two\n");
  auto tail = LogTrail::of_worker(data_, {.tail = 1, .since = at(50)}).value();
  EXPECT_EQ(rest(tail), "1970-01-01T00:05:00.000+00:00 info worker: two\n");
  EXPECT_FALSE(tail.is_over());
}

}  // namespace
}  // namespace berth::worker
