#include "cluster/version.h"

#include <gtest/gtest.h>

namespace berth::cluster {
namespace {

TEST(Versions, OneMinorApartWorkTogether) {
  for (const char* worker : {"1.4.0", "1.4.9", "1.3.2", "1.5.0-rc1"}) {
    EXPECT_TRUE(check_versions("1.4.1", worker)) << worker;
  }
}

TEST(Versions, FurtherApartSayWhichToUpgrade) {
  const auto old_worker = check_versions("1.4.1", "1.2.9");
  ASSERT_FALSE(old_worker);
  EXPECT_EQ(old_worker.error().code, ErrorCode::conflict);
  EXPECT_TRUE(old_worker.error().to_string().ends_with("upgrade the worker"));
  const auto old_server = check_versions("1.4.1", "2.4.1");
  ASSERT_FALSE(old_server);
  EXPECT_TRUE(old_server.error().to_string().ends_with("upgrade the server"));
}

TEST(Versions, ThatAreNoneAreRefused) {
  for (const char* worker : {"", "1", "1.", "new", "-1.2"}) {
    const auto checked = check_versions("1.4.1", worker);
    ASSERT_FALSE(checked) << worker;
    EXPECT_EQ(checked.error().code, ErrorCode::invalid_parameter);
  }
}

}  // namespace
}  // namespace berth::cluster
