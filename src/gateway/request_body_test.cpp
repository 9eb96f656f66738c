#include "gateway/request_body.h"

#include "base/json.h"

#include <gtest/gtest.h>

namespace berth::gateway {
namespace {

constexpr backends::EngineApi kPlain{};
constexpr backends::EngineApi kLearnsByWriting{.learns_by_writing = true};

TEST(UpstreamText, LeavesAPlainRequestAsItIs) {
  const std::string text = R"({ "model":"a", "messages":[{"role":"user","content":"}{"}] })";
  const auto body = read_body(text);
  ASSERT_TRUE(body) << body.error().to_string();
  EXPECT_EQ(body->model, "a");
  EXPECT_FALSE(body->stream);
  EXPECT_EQ(upstream_text(*body, kPlain), text);
}

TEST(UpstreamText, AStreamAlwaysAsksForUsage) {
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
    EXPECT_EQ(body->wishes.usage, test.wants_usage) << test.text;
    const auto sent = parse_json(upstream_text(*body, kPlain));
    ASSERT_TRUE(sent) << upstream_text(*body, kPlain);
    EXPECT_EQ(sent->at("stream_options"), parse_json(test.options).value()) << test.text;
    EXPECT_EQ(sent->at("model").as_string(), "a");
    EXPECT_FALSE(sent->get_object().contains("return_progress"));
  }
}

TEST(UpstreamText, AnEngineThatLearnsByWritingAlwaysStreamsWithProgress) {
  const char* cases[] = {
      R"({"model":"a","n":2})",
      R"({"model":"a","stream":false , "stream_options":{"include_usage":false}, "prompt":"x"})",
      R"({"return_progress": false,"model":"a","stream":null})",
      R"({"model":"a","stream":true,"return_progress":null})",
  };
  for (const auto* text : cases) {
    const auto body = read_body(text);
    ASSERT_TRUE(body) << text << ": " << body.error().to_string();
    EXPECT_FALSE(body->wishes.progress) << text;
    const auto sent = parse_json(upstream_text(*body, kLearnsByWriting));
    ASSERT_TRUE(sent) << upstream_text(*body, kLearnsByWriting);
    EXPECT_EQ(sent->at("stream"), true) << text;
    EXPECT_EQ(sent->at("return_progress"), true) << text;
    EXPECT_EQ(sent->at("stream_options").at("include_usage"), true) << text;
  }
  EXPECT_EQ(read_body(cases[0])->choices, 2U);
  EXPECT_TRUE(read_body(R"({"model":"a","return_progress":true})")->wishes.progress);
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
      {R"({"model":"a","return_progress":1})", "return_progress"},
      {R"({"model":"a","n":0})", "n"},
      {R"({"model":"a","n":"two"})", "n"},
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
