#include "gateway/answer_assembler.h"

#include <gtest/gtest.h>

namespace berth::gateway {
namespace {

std::string events(std::initializer_list<std::string_view> data) {
  std::string text;
  for (const auto one : data) text += "data: " + std::string(one) + "\n\n";
  return text;
}

json::value assemble(const std::string& stream, std::uint64_t choices_per_prompt = 1) {
  AnswerAssembler assembler;
  for (const char byte : stream) {
    const auto fed = assembler.feed({&byte, 1});
    EXPECT_TRUE(fed) << fed.error().to_string();
  }
  EXPECT_TRUE(assembler.complete());
  return assembler.finish(choices_per_prompt);
}

TEST(AnswerAssembler, PutsAChatTogether) {
  const auto answer = assemble(events({
      R"({"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"finish_reason":null,)"
      R"("delta":{"role":"assistant","content":null}}],"prompt_progress":{"total":9}})",
      R"({"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"finish_reason":null,)"
      R"("delta":{"reasoning_content":"hm"}}]})",
      R"({"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"finish_reason":null,)"
      R"("delta":{"content":"Hel"},"logprobs":{"content":[{"token":"Hel"}]}}]})",
      R"({"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"finish_reason":null,)"
      R"("delta":{"content":"lo"},"logprobs":{"content":[{"token":"lo"}]}}]})",
      R"({"id":"c","object":"chat.completion.chunk","choices":[{"index":0,)"
      R"("finish_reason":"stop","delta":{}}]})",
      R"({"id":"c","object":"chat.completion.chunk","choices":[],"timings":{"n":1},)"
      R"("usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}})",
      "[DONE]",
  }));
  EXPECT_EQ(answer, parse_json(R"({
    "id":"c", "object":"chat.completion", "timings":{"n":1},
    "usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11},
    "choices":[{"index":0, "finish_reason":"stop",
                "message":{"role":"assistant","content":"Hello","reasoning_content":"hm"},
                "logprobs":{"content":[{"token":"Hel"},{"token":"lo"}]}}]})")
                        .value());
}

TEST(AnswerAssembler, PutsToolCallsTogether) {
  const auto answer = assemble(events({
      R"({"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","type":"function",)"
      R"("function":{"name":"f","arguments":""}}]}}]})",
      R"({"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"x\""}}]}}]})",
      R"({"choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"b","type":"function",)"
      R"("function":{"name":"g","arguments":"{}"}}]}}]})",
      R"({"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]}}]})",
      R"({"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]})",
      "[DONE]",
  }));
  EXPECT_EQ(answer.at("choices").at(0).at("message"), parse_json(R"({"content":null,"tool_calls":[
      {"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}},
      {"id":"b","type":"function","function":{"name":"g","arguments":"{}"}}]})")
                                                          .value());
}

TEST(AnswerAssembler, KeepsChoicesApartAndCountsAPromptOnce) {
  const auto answer = assemble(
      events({
          R"({"object":"text_completion","choices":[{"index":1,"text":"b","finish_reason":null}]})",
          R"({"object":"text_completion","choices":[{"index":0,"text":"a","finish_reason":null}]})",
          R"({"object":"text_completion","choices":[{"index":0,"text":"","finish_reason":"length"}],)"
          R"("usage":{"prompt_tokens":4,"completion_tokens":1}})",
          R"({"object":"text_completion","choices":[{"index":1,"text":"c","finish_reason":"stop"}],)"
          R"("usage":{"prompt_tokens":4,"completion_tokens":2}})",
          "[DONE]",
      }),
      2);
  EXPECT_EQ(answer.at("choices"), parse_json(R"([{"index":0,"text":"a","finish_reason":"length"},
                           {"index":1,"text":"bc","finish_reason":"stop"}])")
                                      .value());
  EXPECT_EQ(answer.at("usage"),
            parse_json(R"({"prompt_tokens":4,"completion_tokens":3,"total_tokens":7})").value());
}

TEST(AnswerAssembler, AnErrorAmongTheEventsIsTheAnswer) {
  AnswerAssembler assembler;
  ASSERT_TRUE(assembler.feed(events({R"({"choices":[{"index":0,"text":"a"}]})"})));
  const auto failed =
      assembler.feed(events({R"({"error":{"code":503,"message":"no room","type":"x"}})"}));
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, ErrorCode::unavailable);
  EXPECT_EQ(failed.error().message, "no room");
  EXPECT_FALSE(assembler.complete());
}

TEST(AnswerAssembler, RefusesWhatIsNoJson) {
  AnswerAssembler assembler;
  EXPECT_FALSE(assembler.feed("data: {\"choices\n\n"));
}

}  // namespace
}  // namespace berth::gateway
