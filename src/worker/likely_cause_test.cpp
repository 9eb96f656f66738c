#include "worker/likely_cause.h"

#include <gtest/gtest.h>

namespace berth::worker {
namespace {

model::EngineExit exit_with(std::optional<int> code, std::optional<int> signal,
                            std::vector<std::string> lines) {
  return {.exit_code = code, .signal = signal, .last_lines = std::move(lines)};
}

TEST(LikelyCause, IsReadFromTheLastLinesFirst) {
  EXPECT_EQ(likely_cause(exit_with(1, {}, {"x", "error: couldn't bind HTTP server socket", "bye"})),
            "its port was taken");
  EXPECT_EQ(likely_cause(exit_with({}, 9, {"ggml: failed to allocate buffer"})), "out of memory");
  EXPECT_EQ(likely_cause(exit_with({}, 9, {})), "killed, probably for want of memory");
  EXPECT_EQ(likely_cause(exit_with({}, 11, {"loading"})), "the engine crashed");
  EXPECT_EQ(likely_cause(exit_with(3, {}, {"strange"})), "");
}

TEST(DescribeExit, SaysHowItEndedWhyAndItsLastLine) {
  auto exit = exit_with(1, {}, {"first", "Address already in use"});
  exit.likely_cause = likely_cause(exit);
  EXPECT_EQ(describe_exit(exit),
            "the engine ended with code 1 (its port was taken): Address already in use");
  EXPECT_EQ(describe_exit(exit_with({}, {}, {"exec /x: No such file or directory"})),
            "the engine did not start: exec /x: No such file or directory");
}

}  // namespace
}  // namespace berth::worker
