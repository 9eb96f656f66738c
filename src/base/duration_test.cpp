#include "base/duration.h"

#include <gtest/gtest.h>

namespace berth {
namespace {

TEST(ParseDuration, ReadsSecondsMinutesHoursAndDays) {
  using std::chrono::hours;
  using std::chrono::seconds;
  EXPECT_EQ(parse_duration("90").value(), seconds(90));
  EXPECT_EQ(parse_duration("0s").value(), seconds(0));
  EXPECT_EQ(parse_duration("30m").value(), seconds(1800));
  EXPECT_EQ(parse_duration("2h").value(), hours(2));
  EXPECT_EQ(parse_duration("7d").value(), hours(168));
}

TEST(ParseDuration, RefusesWhatIsNoTime) {
  for (const auto* text : {"", "s", "-1s", "1.5h", "10 m", "1w", "9999999d"}) {
    const auto time = parse_duration(text);
    ASSERT_FALSE(time) << text;
    EXPECT_NE(time.error().message.find("must be a time such as 90s"), std::string::npos);
  }
}

}  // namespace
}  // namespace berth
