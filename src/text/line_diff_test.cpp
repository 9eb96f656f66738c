#include "text/line_diff.h"

#include <gtest/gtest.h>

namespace berth::text {
namespace {

TEST(LineDiff, EqualTextsHaveNone) { EXPECT_EQ(unified_diff("a\nb\n", "a\nb\n", "x", "y"), ""); }

TEST(LineDiff, AChangedLineStandsAmongItsContext) {
  EXPECT_EQ(unified_diff("1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nfive\n6\n7\n8\n9\n", "x", "y"),
            "--- x\n+++ y\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n");
}

TEST(LineDiff, LinesThatComeAndGo) {
  EXPECT_EQ(unified_diff("a\nb\nc\n", "b\nc\nd\n", "x", "y"),
            "--- x\n+++ y\n@@ -1,3 +1,3 @@\n-a\n b\n c\n+d\n");
}

TEST(LineDiff, AllOfATextIsNew) {
  EXPECT_EQ(unified_diff("", "a\nb\n", "x", "y"), "--- x\n+++ y\n@@ -0,0 +1,2 @@\n+a\n+b\n");
  EXPECT_EQ(unified_diff("a\n", "", "x", "y"), "--- x\n+++ y\n@@ -1 +0,0 @@\n-a\n");
}

TEST(LineDiff, ChangesFarApartStandInHunksOfTheirOwn) {
  std::string before;
  for (int i = 0; i < 20; ++i) before += std::to_string(i) + "\n";
  std::string after = before;
  after.replace(0, 1, "A");
  after.replace(after.find("19"), 2, "B");
  const std::string diff = unified_diff(before, after, "x", "y");
  EXPECT_NE(diff.find("@@ -1,4 +1,4 @@\n-0\n+A\n 1\n 2\n 3\n@@ -17,4 +17,4 @@"), std::string::npos)
      << diff;
}

TEST(LineDiff, TextsTooLongToCompareAreReplaced) {
  std::string before;
  std::string after;
  for (int i = 0; i < 3000; ++i) {
    before += "a\n";
    after += "b\n";
  }
  const std::string diff = unified_diff(before, after, "x", "y");
  EXPECT_NE(diff.find("@@ -1,3000 +1,3000 @@\n-a\n"), std::string::npos);
}

}  // namespace
}  // namespace berth::text
