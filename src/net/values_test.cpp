#include "net/headers.h"
#include "net/http.h"
#include "net/url.h"

#include <gtest/gtest.h>

namespace berth::net {
namespace {

TEST(Headers, FindsNamesWithoutRegardToCase) {
  Headers headers{{"Content-Type", "text/html"}};
  headers.add("Set-Cookie", "a");
  headers.add("set-cookie", "b");

  EXPECT_EQ(headers.get("content-type"), "text/html");
  EXPECT_EQ(headers.get_all("SET-COOKIE").size(), 2U);
  headers.set("Set-Cookie", "c");
  EXPECT_EQ(headers.get_all("set-cookie"), std::vector<std::string_view>{"c"});
  EXPECT_EQ(headers.erase("CONTENT-TYPE"), 1U);
  EXPECT_FALSE(headers.contains("content-type"));
}

TEST(Headers, ErasesWhatConcernsOneConnection) {
  Headers headers{{"Connection", "keep-alive, X-Hop"},
                  {"X-Hop", "1"},
                  {"Transfer-Encoding", "chunked"},
                  {"X-End", "2"}};
  EXPECT_TRUE(headers.has_token("connection", "x-hop"));
  headers.erase_hop_by_hop();
  ASSERT_EQ(headers.size(), 1U);
  EXPECT_EQ(headers.begin()->first, "X-End");
}

TEST(Url, ReadsAndWrites) {
  const auto url = parse_url("http://[::1]:8080/v1/models?a=b#top");
  ASSERT_TRUE(url) << url.error().to_string();
  EXPECT_EQ(url->endpoint, (Endpoint{"::1", 8080}));
  EXPECT_EQ(url->target, "/v1/models?a=b");
  EXPECT_EQ(to_string(*url), "http://[::1]:8080/v1/models?a=b");
  EXPECT_EQ(parse_url("https://hub.example")->endpoint, (Endpoint{"hub.example", 443}));
  EXPECT_EQ(parse_url("http://h?x=1")->target, "/?x=1");
}

TEST(Url, RefusesWhatIsNone) {
  for (const char* text : {"", "host", "ftp://host/", "http://", "http://host:99999/",
                           "http://host:1x/", "http://user@host/", "http://h/a b", "http://[::1"}) {
    EXPECT_FALSE(parse_url(text)) << text;
  }
}

TEST(Query, DecodesPairs) {
  const auto query = Query::parse("a=1&b=x%20y+z&&c&a=2");
  ASSERT_TRUE(query);
  EXPECT_EQ(query->get("a"), "1");
  EXPECT_EQ(query->get_all("a").size(), 2U);
  EXPECT_EQ(query->get("b"), "x y z");
  EXPECT_EQ(query->get("c"), "");
  EXPECT_EQ(query->get("d"), std::nullopt);
  EXPECT_FALSE(Query::parse("a=%2"));
  EXPECT_EQ((Query{{"a b", "c&d"}}).to_string(), "a%20b=c%26d");
}

TEST(PercentDecoding, UndoesEncoding) {
  std::string all;
  for (int c = 1; c < 256; ++c) all += static_cast<char>(c);
  EXPECT_EQ(percent_decode(percent_encode(all)), all);
  EXPECT_FALSE(percent_decode("%00"));
  EXPECT_FALSE(percent_decode("%zz"));
  EXPECT_FALSE(percent_decode("abc%"));
}

TEST(ErrorResponse, HasTheShapeThatOpenAiClientsKnow) {
  const auto response = error_response(
      make_error(ErrorCode::invalid_parameter, "n must be greater than 0").with_field("n"),
      "req-1");
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(response.headers.get("x-request-id"), "req-1");
  EXPECT_EQ(response.body,
            R"({"error":{"message":"n must be greater than 0","type":"invalid_request_error",)"
            R"("param":"n","code":"invalid_parameter"}})");
  EXPECT_EQ(error_response(make_error(ErrorCode::unauthenticated, "x")).status, 401);
  EXPECT_EQ(error_type(ErrorCode::resource_exhausted), "rate_limit_error");
}

TEST(ErrorResponse, IsReadBack) {
  const auto error = make_error(ErrorCode::already_exists, "taken").with_field("name");
  const auto read = error_from_response(409, error_response(error).body);
  EXPECT_EQ(read.code, ErrorCode::already_exists);
  EXPECT_EQ(read.message, "taken");
  EXPECT_EQ(read.field, "name");
  EXPECT_EQ(error_from_response(404, "<html>").code, ErrorCode::not_found);
  EXPECT_EQ(error_from_response(502, "").code, ErrorCode::unavailable);
}

TEST(Request, FindsTheBearerToken) {
  Request request;
  EXPECT_EQ(request.bearer_token(), "");
  request.headers.set("Authorization", "bearer abc");
  EXPECT_EQ(request.bearer_token(), "abc");
  request.headers.set("Authorization", "Basic abc");
  EXPECT_EQ(request.bearer_token(), "");
}

TEST(Headers, LeaveBehindWhatConcernsOneConnection) {
  Headers kept{
      {"Content-Type", "text/plain"}, {"Connection", "close, X-Private"}, {"X-Private", "1"},
      {"Keep-Alive", "timeout=5"},    {"Transfer-Encoding", "chunked"},   {"X-Public", "2"}};
  kept.erase_hop_by_hop();
  EXPECT_EQ(kept.get("content-type").value_or(""), "text/plain");
  EXPECT_EQ(kept.get("x-public").value_or(""), "2");
  EXPECT_EQ(std::distance(kept.begin(), kept.end()), 2);
}

}  // namespace
}  // namespace berth::net
