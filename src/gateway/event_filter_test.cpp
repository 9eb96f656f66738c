#include "gateway/event_filter.h"

#include <gtest/gtest.h>

namespace berth::gateway {
namespace {

constexpr std::string_view kProgress =
    "data: {\"choices\":[{\"text\":\"\"}],\"prompt_progress\":{\"total\":9,\"processed\":3}}\n\n";
constexpr std::string_view kText =
    "data: {\"choices\":[{\"delta\":{\"content\":\"\\\"usage\\\":\"}}]}\n\n";
constexpr std::string_view kUsage =
    "data: {\"choices\":[],\"usage\":{\"completion_tokens\":7,\"prompt_tokens\":3}}\n\n";
constexpr std::string_view kDone = "data: [DONE]\n\n";

std::string join(std::initializer_list<std::string_view> events) {
  std::string text;
  for (const auto event : events) text += event;
  return text;
}

std::string pass(EventFilter& filter, std::string_view bytes, std::size_t piece) {
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += piece) {
    // A piece of its own memory: views must not reach beyond it.
    const std::string copy(bytes.substr(i, piece));
    out += filter.feed(copy).value();
  }
  return out;
}

TEST(EventFilter, WithholdsUsageAndProgressHoweverTheBytesAreCut) {
  const std::string stream = join({kProgress, kProgress, kText, kProgress, kText, kUsage, kDone});
  for (std::size_t piece = 1; piece <= stream.size(); ++piece) {
    EventFilter filter({});
    EXPECT_EQ(pass(filter, stream, piece), join({kText, kText, kDone})) << piece;
    EXPECT_EQ(filter.usage(), (Usage{.prompt_tokens = 3, .completion_tokens = 7})) << piece;
    EXPECT_TRUE(filter.rest().empty());
  }
}

TEST(EventFilter, PassesWhatTheClientAskedFor) {
  const std::string stream = join({kProgress, kText, kUsage, kDone});
  EventFilter usage({.usage = true});
  EXPECT_EQ(pass(usage, stream, 11), join({kText, kUsage, kDone}));
  EventFilter progress({.progress = true});
  EXPECT_EQ(pass(progress, stream, 11), join({kProgress, kText, kDone}));
}

TEST(EventFilter, WholeEventsAreNotCopied) {
  EventFilter filter({});
  const std::string bytes = join({kText, kText});
  const auto passed = filter.feed(bytes);
  ASSERT_TRUE(passed);
  EXPECT_EQ(passed->data(), bytes.data());
  EXPECT_EQ(*passed, bytes);
}

TEST(EventFilter, UsageBesideAChoiceIsPassedOnAndSummed) {
  const std::string event =
      "data: {\"choices\":[{\"text\":\"x\"}],\"usage\":{\"prompt_tokens\":1,"
      "\"completion_tokens\":2}}\r\n\r\n";
  EventFilter filter({});
  EXPECT_EQ(pass(filter, event + event, event.size()), event + event);
  EXPECT_EQ(filter.usage(), (Usage{.prompt_tokens = 2, .completion_tokens = 4}));
}

TEST(EventFilter, RefusesAnEventWithoutEnd) {
  EventFilter filter({});
  const std::string piece(600 << 10, 'x');
  EXPECT_TRUE(filter.feed(piece));
  EXPECT_FALSE(filter.feed(piece));
}

TEST(CheckEvent, AnErrorEventBecomesTheErrorThatItTells) {
  EXPECT_TRUE(check_event(kText));
  const auto refused = check_event(
      "data: {\"error\":{\"code\":400,\"message\":\"too "
      "long\",\"type\":\"invalid_request_error\"}}\n\n");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::invalid_request);
  EXPECT_EQ(refused.error().message, "too long");
  EXPECT_FALSE(check_event("error: {\"code\":500}\n\n"));
}

TEST(ReadUsage, ReadsAWholeAnswer) {
  EXPECT_EQ(read_usage(R"({"usage":{"prompt_tokens":5},"data":[]})"),
            (Usage{.prompt_tokens = 5, .completion_tokens = 0}));
  EXPECT_FALSE(read_usage(R"({"choices":[]})"));
  EXPECT_FALSE(read_usage("not json \"usage\":"));
}

}  // namespace
}  // namespace berth::gateway
