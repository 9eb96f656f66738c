#include "net/message_parser.h"

#include <gtest/gtest.h>

namespace berth::net {
namespace {

struct Parsed {
  Result<void> result;
  std::string body;
  bool head = false;
  bool end = false;
  std::string rest;
};

// Feeds `text` in pieces, as a connection does.
template <class Parser>
Parsed feed(Parser& parser, std::string_view text, std::size_t piece) {
  Parsed parsed;
  std::string input;
  while (!parsed.end) {
    auto step = parser.advance(input);
    if (!step) {
      parsed.result = fail(std::move(step).error());
      return parsed;
    }
    parsed.head = parsed.head || step->kind == ParseStep::Kind::head;
    parsed.end = step->kind == ParseStep::Kind::end;
    parsed.body += step->body;
    input.erase(0, step->consumed);
    if (step->kind != ParseStep::Kind::need_more) continue;
    if (text.empty()) break;
    input += text.substr(0, piece);
    text.remove_prefix(std::min(piece, text.size()));
  }
  parsed.rest = input + std::string(text);
  return parsed;
}

TEST(RequestParser, ReadsAnyCutToTheSame) {
  const std::string text =
      "\r\nPOST /a%2Fb/c%20d?q=1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3\r\nabc\r\n1;ext=1\r\nd\r\n0\r\nTrailer: 1\r\n\r\nGET / HTTP";
  for (std::size_t piece = 1; piece <= text.size(); ++piece) {
    RequestParser parser(64_KiB);
    const auto parsed = feed(parser, text, piece);
    ASSERT_TRUE(parsed.result) << piece << ": " << parsed.result.error().to_string();
    EXPECT_TRUE(parsed.end) << piece;
    EXPECT_EQ(parsed.body, "abcd") << piece;
    EXPECT_EQ(parsed.rest, "GET / HTTP") << piece;
    EXPECT_EQ(parser.request().path, "/a/b/c d");
    EXPECT_EQ(parser.request().query.get("q"), "1");
    EXPECT_TRUE(parser.keep_alive());
    EXPECT_FALSE(parser.request().headers.contains("trailer"));
  }
}

TEST(RequestParser, ReadsAShortLastChunkByteByByte) {
  RequestParser parser(64_KiB);
  const auto parsed =
      feed(parser, "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 1);
  ASSERT_TRUE(parsed.result);
  EXPECT_TRUE(parsed.end);
}

TEST(RequestParser, GivesTheDataOfAChunkBeforeItsEnd) {
  RequestParser parser(64_KiB);
  const auto parsed =
      feed(parser, "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nabcd", 7);
  EXPECT_EQ(parsed.body, "abcd");
  EXPECT_FALSE(parsed.end);
}

TEST(RequestParser, RefusesWhatTwoReadersCouldReadDifferently) {
  const std::string start = "POST / HTTP/1.1\r\nHost: x\r\n";
  const std::string bad[] = {
      start + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      start + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
      start + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
      start + "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
      start + "Content-Length: 3, 3\r\n\r\nabc",
      start + "Content-Length: +3\r\n\r\nabc",
      start + "Content-Length: 0x3\r\n\r\nabc",
      start + "Content-Length: -1\r\n\r\nabc",
      start + "Content-Length:\r\n\r\nabc",
      start + "Content-Length: 99999999999999999999\r\n\r\nabc",
      start + "Content-Length : 3\r\n\r\nabc",
      start + " Content-Length: 3\r\n\r\nabc",
      start + "Transfer-Encoding: gzip\r\n\r\n",
      start + "Transfer-Encoding: identity\r\n\r\n",
      start + "Transfer-Encoding: chunked, identity\r\n\r\n",
      start + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
      start + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
      start + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      start + "Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
      start + "Transfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n",
      start + "Transfer-Encoding: chunked\r\n\r\n3\r\nabcX\r\n0\r\n\r\n",
      start + "Transfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n",
      start + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nabc\r\n0\r\n\r\n",
      "POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      start + "Host: y\r\n\r\n",
      "GET / HTTP/1.1\r\n\r\n",
      "GET / HTTP/2.0\r\nHost: x\r\n\r\n",
      "GET / HTTP/1.1\nHost: x\n\n",
      "GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET noslash HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET /?a=%x HTTP/1.1\r\nHost: x\r\n\r\n",
      "G@T / HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: x\r\nBad\x01Name: 1\r\n\r\n",
      std::string("GET / HTTP/1.1\r\nHost: x\r\nNul: a") + '\0' + "b\r\n\r\n",
      "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS hello",
  };
  for (const auto& text : bad) {
    for (const std::size_t piece : {std::size_t{1}, text.size()}) {
      RequestParser parser(64_KiB);
      const auto parsed = feed(parser, text, piece);
      EXPECT_FALSE(parsed.result && parsed.end) << text;
    }
  }
}

TEST(RequestParser, BoundsTheHead) {
  const std::string start = "GET / HTTP/1.1\r\nHost: x\r\n";
  RequestParser endless(1_KiB);
  const auto parsed = feed(endless, start + "A: " + std::string(5000, 'x'), 100);
  ASSERT_FALSE(parsed.result);
  EXPECT_EQ(parsed.result.error().code, ErrorCode::too_large);

  std::string many = start;
  for (int i = 0; i < 300; ++i) many += "A: 1\r\n";
  RequestParser fields(64_KiB);
  EXPECT_EQ(feed(fields, many + "\r\n", 1000).result.error().code, ErrorCode::too_large);

  std::string extension =
      "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;" + std::string(40000, 'x');
  RequestParser chunk(64_KiB);
  EXPECT_FALSE(feed(chunk, extension, 1000).result);
}

TEST(RequestParser, TakesTheAbsoluteForm) {
  RequestParser parser(64_KiB);
  const auto parsed = feed(parser, "GET http://x/v1/models?a=1 HTTP/1.1\r\nHost: x\r\n\r\n", 100);
  ASSERT_TRUE(parsed.result) << parsed.result.error().to_string();
  EXPECT_EQ(parser.request().path, "/v1/models");
  EXPECT_EQ(parser.request().target, "/v1/models?a=1");
}

TEST(ResponseParser, ReadsABodyThatTheCloseEnds) {
  ResponseParser parser(64_KiB, false);
  const auto parsed = feed(parser, "HTTP/1.1 200 OK\r\n\r\nhello", 4);
  ASSERT_TRUE(parsed.result);
  EXPECT_EQ(parsed.body, "hello");
  EXPECT_FALSE(parsed.end);
  EXPECT_TRUE(parser.end_of_input());
  EXPECT_FALSE(parser.keep_alive());
}

TEST(ResponseParser, NoticesABodyThatBreaksOff) {
  ResponseParser parser(64_KiB, false);
  feed(parser, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", 100);
  EXPECT_FALSE(parser.end_of_input());
}

TEST(ResponseParser, ExpectsNoBodyAfterHead) {
  ResponseParser parser(64_KiB, true);
  const auto parsed = feed(parser, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", 100);
  ASSERT_TRUE(parsed.result);
  EXPECT_TRUE(parsed.end);
}

}  // namespace
}  // namespace berth::net
