#include "gateway/request_body.h"

#include "base/json.h"

#include <gtest/gtest.h>

namespace berth::gateway {
namespace {

TEST(ReadBody, LeavesAPlainRequestAsItIs) {
  const std::string text = R"({ "model":"a", "messages":[{"role":"user","content":"}{"}] })";
  const auto body = read_body(text);
  ASSERT_TRUE(body) << body.error().to_string();
  EXPECT_EQ(body->model, "a");
  EXPECT_FALSE(body->stream);
  EXPECT_EQ(body->upstream, text);
}

TEST(ReadBody, AStreamAlwaysAsksForUsage) {
  struct Case {
    const char* text;
    bool wants_usage;
    const char* options;
  };
  const Case cases[] = {
      {R"({"model":"a","stream":true})", false, R"({"include_usage":true})"},
      {R"({"model":"a","stream":true,"stream_options":null})", false, R"({"include_usage":true})"},
      {R"({"model":"a","stream":true,"stream_options":{"include_usage":false}})", false,
       R"({"include_usage":true})"},
      {R"({"stream_options":{"x":1,"include_usage":true},"model":"a","stream":true})", true,
       R"({"x":1,"include_usage":true})"},
  };
  for (const auto& test : cases) {
    const auto body = read_body(test.text);
    ASSERT_TRUE(body) << test.text << ": " << body.error().to_string();
    EXPECT_EQ(body->wants_usage, test.wants_usage) << test.text;
    const auto sent = parse_json(body->upstream);
    ASSERT_TRUE(sent) << body->upstream;
    EXPECT_EQ(sent->at("stream_options"), parse_json(test.options).value()) << body->upstream;
    EXPECT_EQ(sent->at("model").as_string(), "a");
  }
}

TEST(ReadBody, RefusesWhatItCanNotRoute) {
  const std::pair<const char*, const char*> cases[] = {
      {"", ""},
      {"[1]", ""},
      {"{", ""},
      {R"({"model":"a"} x)", ""},
      {R"({"model":"a","b":[1,})", ""},
      {R"({"messages":[]})", "model"},
      {R"({"model":7})", "model"},
      {R"({"model":"a","stream":"yes"})", "stream"},
      {R"({"model":"a","stream":true,"stream_options":7})", "stream_options"},
      {R"({"model":"a","model":"b"})", "model"},
      {R"({"model":"a","mod\u0065l":"b"})", "model"},
      {R"({"model":"a","stream":true,"stream":false})", "stream"},
  };
  for (const auto& [text, field] : cases) {
    const auto body = read_body(text);
    ASSERT_FALSE(body) << text;
    EXPECT_EQ(body.error().field, field) << text << ": " << body.error().to_string();
  }
}

}  // namespace
}  // namespace berth::gateway
