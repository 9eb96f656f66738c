#include "model/restarts.h"

#include <gtest/gtest.h>

namespace berth::model {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(RestartPause, DoublesFromHalfASecondToOneMinute) {
  EXPECT_EQ(restart_pause(1), milliseconds(500));
  EXPECT_EQ(restart_pause(2), seconds(1));
  EXPECT_EQ(restart_pause(7), seconds(32));
  EXPECT_EQ(restart_pause(8), seconds(60));
  EXPECT_EQ(restart_pause(4000000000U), seconds(60));
}

}  // namespace
}  // namespace berth::model
