#include "worker/since.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::worker {
namespace {

using ::testing::HasSubstr;

constexpr SystemTime kNow =
    SystemTime(std::chrono::sys_days(std::chrono::year_month_day(
        std::chrono::year(2026), std::chrono::month(11), std::chrono::day(22)))) +
    std::chrono::hours(10);

std::string since(std::string_view text) {
  const auto time = parse_since(text, kNow);
  return time ? to_rfc3339(*time) : time.error().field;
}

TEST(ParseSince, TakesHowLongAgo) {
  EXPECT_EQ(since("90s"), "2026-11-22T09:58:30.000Z");
  EXPECT_EQ(since("10m"), "2026-11-22T09:50:00.000Z");
  EXPECT_EQ(since("1h30m"), "2026-11-22T08:30:00.000Z");
  EXPECT_EQ(since("2d"), "2026-11-20T10:00:00.000Z");
  EXPECT_EQ(since("0s"), "2026-11-22T10:00:00.000Z");
}

TEST(ParseSince, TakesTimesOfRfc3339) {
  EXPECT_EQ(since("2026-11-22T09:00:00Z"), "2026-11-22T09:00:00.000Z");
  EXPECT_EQ(since("2026-11-22T09:00:00.5+01:00"), "2026-11-22T08:00:00.500Z");
  EXPECT_EQ(since("2026-11-22T09:00:00.123456-02:30"), "2026-11-22T11:30:00.123Z");
  EXPECT_EQ(since("2024-02-29T00:00:00z"), "2024-02-29T00:00:00.000Z");
}

TEST(ParseSince, RefusesEverythingElse) {
  for (const char* text : {"", "10", "m", "-5m", "10x", "5m 3s", "99999999999h", "2026-11-22",
                           "2026-11-22T09:00:00", "2026-02-30T00:00:00Z", "2026-11-22T24:00:00Z",
                           "2026-11-22T09:00:00.Z", "2026-11-22T09:00:00Z and more", "yesterday"}) {
    EXPECT_EQ(since(text), "since") << text;
  }
  EXPECT_THAT(parse_since("yesterday", kNow).error().message, HasSubstr("\"yesterday\""));
}

TEST(LeadingTime, IsTheTimeThatALineBeginsWith) {
  const auto time = leading_time("2026-11-22T10:15:30.123+00:00 info worker: hello");
  ASSERT_TRUE(time);
  EXPECT_EQ(to_rfc3339(*time), "2026-11-22T10:15:30.123Z");
  EXPECT_FALSE(leading_time("  it goes on here"));
}

}  // namespace
}  // namespace berth::worker
