#include "gateway/usage_filter.h"

#include <gtest/gtest.h>

namespace berth::gateway {
namespace {

constexpr std::string_view kText =
    "data: {\"choices\":[{\"delta\":{\"content\":\"\\\"usage\\\":\"}}]}\n\n";
constexpr std::string_view kUsage =
    "data: {\"choices\":[],\"usage\":{\"completion_tokens\":7,\"prompt_tokens\":3}}\n\n";
constexpr std::string_view kDone = "data: [DONE]\n\n";

std::string pass(UsageFilter& filter, std::string_view bytes, std::size_t piece) {
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += piece) {
    out += filter.feed(bytes.substr(i, piece)).value();
  }
  return out;
}

TEST(UsageFilter, WithholdsTheUsageEventHoweverTheBytesAreCut) {
  const std::string stream = std::string(kText) + std::string(kUsage) + std::string(kDone);
  for (std::size_t piece = 1; piece <= stream.size(); ++piece) {
    UsageFilter filter(false);
    EXPECT_EQ(pass(filter, stream, piece), std::string(kText) + std::string(kDone)) << piece;
    EXPECT_EQ(filter.usage(), (Usage{.prompt_tokens = 3, .completion_tokens = 7})) << piece;
    EXPECT_TRUE(filter.rest().empty());
  }
}

TEST(UsageFilter, PassesItToThoseWhoAsked) {
  UsageFilter filter(true);
  const std::string stream = std::string(kText) + std::string(kUsage) + std::string(kDone);
  EXPECT_EQ(pass(filter, stream, 11), stream);
  EXPECT_TRUE(filter.usage());
}

TEST(UsageFilter, UsageBesideAChoiceIsPassedOn) {
  const std::string event =
      "data: {\"choices\":[{\"text\":\"x\"}],\"usage\":{\"prompt_tokens\":1,"
      "\"completion_tokens\":2}}\r\n\r\n";
  UsageFilter filter(false);
  EXPECT_EQ(pass(filter, event, event.size()), event);
  EXPECT_EQ(filter.usage()->completion_tokens, 2U);
}

TEST(UsageFilter, RefusesAnEventWithoutEnd) {
  UsageFilter filter(false);
  const std::string piece(600 << 10, 'x');
  EXPECT_TRUE(filter.feed(piece));
  EXPECT_FALSE(filter.feed(piece));
}

TEST(ReadUsage, ReadsAWholeAnswer) {
  EXPECT_EQ(read_usage(R"({"usage":{"prompt_tokens":5},"data":[]})"),
            (Usage{.prompt_tokens = 5, .completion_tokens = 0}));
  EXPECT_FALSE(read_usage(R"({"choices":[]})"));
  EXPECT_FALSE(read_usage("not json \"usage\":"));
}

}  // namespace
}  // namespace berth::gateway
