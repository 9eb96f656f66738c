#include "net/sse.h"

#include <gtest/gtest.h>

namespace berth::net {
namespace {

std::vector<SseEvent> parse_in_pieces(std::string_view text, std::size_t piece) {
  SseParser parser;
  std::vector<SseEvent> events;
  for (; !text.empty(); text.remove_prefix(std::min(piece, text.size()))) {
    const auto found = parser.feed(text.substr(0, piece));
    EXPECT_TRUE(found);
    events.insert(events.end(), found->begin(), found->end());
  }
  return events;
}

TEST(SseParser, ReadsAStreamInAnyCut) {
  const std::string text =
      "\xEF\xBB\xBF: hello\n\ndata: one\n\nevent: put\r\nid: 7\r\ndata:two\r\ndata:  three\r\n\r\n"
      "id\rdata\r\rretry: 5\nunknown\n\ndata: cut off";
  const std::vector<SseEvent> expected = {
      {"", "one", std::nullopt}, {"put", "two\n three", "7"}, {"", "", ""}};
  for (std::size_t piece = 1; piece <= text.size(); ++piece) {
    EXPECT_EQ(parse_in_pieces(text, piece), expected) << "in pieces of " << piece;
  }
}

TEST(SseParser, ReadsWhatIsWritten) {
  const std::vector<SseEvent> events = {{"put", "line\nline", "12"}, {"", "[DONE]", std::nullopt}};
  std::string text = sse_comment("keep alive");
  for (const auto& event : events) text += sse_event(event);
  EXPECT_EQ(parse_in_pieces(text, 5), events);
}

TEST(SseParser, BoundsAnEvent) {
  SseParser one_line(100_B);
  EXPECT_EQ(one_line.feed("data: " + std::string(200, 'x')).error().code, ErrorCode::too_large);
  SseParser many_lines(100_B);
  Result<std::vector<SseEvent>> result;
  for (int i = 0; i < 20 && result; ++i) result = many_lines.feed("data: 1234567890\n");
  EXPECT_FALSE(result);
}

}  // namespace
}  // namespace berth::net
