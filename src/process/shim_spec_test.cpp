#include "process/shim_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace berth::process {
namespace {

using ::testing::HasSubstr;

ShimSpec example() {
  return {.cluster = "c",
          .instance = "chat-0",
          .generation = 18446744073709551615U,
          .attempt = 3,
          .argv = {"/engine", "", "--prompt", "two\nlines 5\n"},
          .environment = {{"KEY", "a=b"}, {"EMPTY", ""}},
          .working_directory = "/w",
          .control_group = "/g",
          .state_path = "/s",
          .log_path = "/l",
          .log_limit = 1,
          .stop_signal = 2,
          .stop_grace_milliseconds = 5};
}

TEST(ShimSpec, ComesBackAsItWas) {
  const ShimSpec spec = example();
  ShimSpec read;
  ASSERT_EQ(parse(serialise(spec), read), "");
  EXPECT_EQ(serialise(read), serialise(spec));
  EXPECT_EQ(read.argv, spec.argv);
  EXPECT_EQ(read.environment, spec.environment);
  EXPECT_EQ(read.control_group, "/g");
  EXPECT_EQ(read.generation, spec.generation);
  EXPECT_EQ(read.attempt, 3U);
  EXPECT_EQ(read.stop_signal, 2);
  EXPECT_EQ(read.stop_grace_milliseconds, 5U);
}

TEST(ShimSpec, IsRefusedWhereItIsCutOff) {
  const std::string text = serialise(example());
  ShimSpec read;
  for (std::size_t length = 0; length < text.size(); ++length) {
    EXPECT_NE(parse(text.substr(0, length), read), "") << "cut at " << length;
  }
}

TEST(ShimSpec, IsRefusedWithAReason) {
  const struct {
    const char* text;
    const char* reason;
  } cases[] = {
      {"", "cut off: no end record"},
      {"end 0\n\n", "no program to run"},
      {"end 0\n\nend 0\n\n", "text after the end record"},
      {"arg 2\n/x\nend 0\n\n", "no state path"},
      {"colour 3\nred\n", "unknown or malformed field colour"},
      {"generation 2\n-1\n", "unknown or malformed field generation"},
      {"env 3\nA B\n", "unknown or malformed field env"},
      {"arg 99999999999999999999\nx\n", "malformed record at byte 0"},
      {"arg -1\nx\n", "malformed record at byte 0"},
      {"arg 1\nx\nlog 9\nx\n", "malformed record at byte 8"},
      {"arg 2\n/x\nstate 1\ns\nlog 1\nl\nstop_signal 2\n99\nend 0\n\n", "no such stop signal"},
  };
  for (const auto& [text, reason] : cases) {
    ShimSpec read;
    EXPECT_EQ(parse(text, read), reason) << text;
  }
  ShimSpec read;
  EXPECT_THAT(parse(std::string("arg 1\n\0\n", 8), read), HasSubstr("NUL byte in arg"));
}

RC_GTEST_PROP(ShimSpecProperty, NoTextMakesTheParserFail, (const std::string& text)) {
  ShimSpec read;
  parse(text, read);
}

RC_GTEST_PROP(ShimSpecProperty, AnyArgumentsComeBack, (std::vector<std::string> arguments)) {
  for (std::string& argument : arguments) std::erase(argument, '\0');
  ShimSpec spec = example();
  spec.argv.insert(spec.argv.end(), arguments.begin(), arguments.end());
  ShimSpec read;
  RC_ASSERT(parse(serialise(spec), read).empty());
  RC_ASSERT(read.argv == spec.argv);
}

}  // namespace
}  // namespace berth::process
