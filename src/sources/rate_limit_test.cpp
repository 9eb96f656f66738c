#include "sources/rate_limit.h"

#include "sources/range_reader.h"
#include "sources/test_server.h"

#include <atomic>

#include <gmock/gmock.h>

namespace berth::sources {
namespace {

using std::chrono::seconds;
using ::testing::HasSubstr;
using testing::part_answer;
using testing::Peer;
using testing::Seen;
using testing::status_answer;
using testing::TestServer;

std::optional<RateLimit> limit_of(const std::string& limit, const std::string& policy = "") {
  HttpHead head;
  head.fields = {{"ratelimit", limit}, {"ratelimit-policy", policy}};
  return reached_limit(head);
}

TEST(RateLimit, IsReadAsHuggingFaceSendsIt) {
  const auto limit = limit_of("\"api\";r=0;t=55", "\"fixed window\";\"api\";q=500;w=300");
  ASSERT_TRUE(limit);
  EXPECT_EQ(limit->reset, seconds(55));
  EXPECT_EQ(limit->quota, 500);
  EXPECT_EQ(limit->seconds, 300);
}

TEST(RateLimit, OfSeveralIsTheOneThatLastsLongest) {
  const auto limit = limit_of("\"a, b\" ; r=0 ; t=5, \"api\";r=9;t=99, \"c\";r=0;t=7",
                              "\"a, b\";q=1;w=2, \"c\";q=3;w=4");
  ASSERT_TRUE(limit);
  EXPECT_EQ(limit->reset, seconds(7));
  EXPECT_EQ(limit->quota, 3);
}

TEST(RateLimit, IsNoneWhereRequestsAreLeftOrTheFormIsAnother) {
  for (const auto* text : {"", "\"api\";r=1;t=55", "\"api\";r=0", "\"api\";t=5", "100", ";;,,==\"",
                           "\"api\";r=0;t=-5", "\"api\";r=0;t=99999999999999999999"}) {
    EXPECT_FALSE(limit_of(text)) << text;
  }
  EXPECT_EQ(limit_of("\"api\";r=0;t=9999999999")->reset, seconds(1'000'000));
}

RangeOptions quick() {
  RangeOptions options;
  options.http.retries.first_pause = std::chrono::milliseconds(2);
  return options;
}

TEST(RateLimit, IsWaitedForBeforeTheNextAttempt) {
  std::atomic<int> count = 0;
  const TestServer server([&](Peer& peer, const Seen& request) {
    if (++count > 1) return void(peer.send(part_answer(request, "file")));
    peer.send(status_answer("429 Too Many", "RateLimit: \"api\";r=0;t=1\r\n"));
  });
  const auto start = real_clock().steady_now();
  EXPECT_TRUE(open_url(server.url("/m"), quick()));
  EXPECT_GE(real_clock().steady_now() - start, seconds(1));
  EXPECT_EQ(count.load(), 2);
}

TEST(RateLimit, ThatLastsTooLongEndsTheReadingAndIsTold) {
  const TestServer server([](Peer& peer, const Seen&) {
    peer.send(status_answer("429 Too Many",
                            "RateLimit: \"api\";r=0;t=299\r\n"
                            "RateLimit-Policy: \"fixed window\";\"api\";q=500;w=300\r\n"));
  });
  const auto error = open_url(server.url("/m"), quick()).error();
  EXPECT_EQ(error.code, ErrorCode::unavailable);
  EXPECT_THAT(error.message, HasSubstr("allows 500 requests in 300 s"));
  EXPECT_THAT(error.message, HasSubstr("asks to wait for 300 s"));
  EXPECT_EQ(server.seen().size(), 1);
}

TEST(RateLimit, YieldsToRetryAfter) {
  const TestServer server([](Peer& peer, const Seen&) {
    peer.send(status_answer("429 Too Many", "Retry-After: 3600\r\nRateLimit: \"api\";r=0;t=1\r\n"));
  });
  EXPECT_THAT(open_url(server.url("/m"), quick()).error().message, HasSubstr("wait for 3600 s"));
}

}  // namespace
}  // namespace berth::sources
