#include "gateway/embeddings.h"

#include "gateway/vectors.h"

#include <gtest/gtest.h>

namespace berth::gateway {
namespace {

std::unique_ptr<Portions> read(std::string_view body) {
  auto parsed = parse_json(body);
  auto portions = read_embeddings(std::move(parsed.value().get_object()));
  EXPECT_TRUE(portions) << portions.error().to_string();
  return std::move(*portions);
}

Error refused(std::string_view body) {
  auto parsed = parse_json(body);
  auto portions = read_embeddings(std::move(parsed.value().get_object()));
  EXPECT_FALSE(portions) << body;
  return portions ? Error{} : portions.error();
}

// The engine of llama-box, with vectors of four numbers.
struct Engine {
  Engine() {
    target.serving = {.context = 8, .slots = 2};
    target.api = {.ignores_dimensions = true};
    route.embedding_length = 4;
  }
  Target target;
  ModelRoute route;
};

json::object asked(Portions& portions) {
  const auto body = portions.next();
  return body ? parse_json(*body).value().get_object() : json::object{};
}

// What an engine answers to `count` inputs, the first number being `first` and its successors.
json::object answer(std::size_t count, float first) {
  json::array data;
  for (std::size_t i = 0; i < count; ++i) {
    std::string vector;
    append_vector(vector, {first + static_cast<float>(i), 3, 4, 0}, true);
    data.push_back(json::object{{"embedding", parse_json(vector).value()}, {"index", i}});
  }
  return {{"data", std::move(data)}};
}

TEST(ReadEmbeddings, TakesAllFormsOfInput) {
  Engine engine;
  const std::pair<const char*, const char*> cases[] = {{R"("a")", R"(["a"])"},
                                                       {R"(["a","b"])", R"(["a","b"])"},
                                                       {"[1,2]", "[[1,2]]"},
                                                       {"[[1],[2,3]]", "[[1],[2,3]]"}};
  for (const auto& [input, sent] : cases) {
    const auto portions = read(fmt::format(R"({{"model":"m","input":{},"user":"u"}})", input));
    ASSERT_TRUE(portions->accept(engine.route, engine.target));
    const auto body = asked(*portions);
    EXPECT_EQ(body.at("input"), parse_json(sent).value());
    EXPECT_EQ(body.at("user"), "u");
    EXPECT_EQ(body.at("encoding_format"), "base64");
    EXPECT_FALSE(portions->next());
  }
}

TEST(ReadEmbeddings, NamesTheFieldThatIsWrong) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"input":"a"})", "model"},
      {R"({"model":1,"input":"a"})", "model"},
      {R"({"model":"m"})", "input"},
      {R"({"model":"m","input":""})", "input"},
      {R"({"model":"m","input":[]})", "input"},
      {R"({"model":"m","input":["a",""]})", "input"},
      {R"({"model":"m","input":[[]]})", "input"},
      {R"({"model":"m","input":["a",[1]]})", "input"},
      {R"({"model":"m","input":[-1]})", "input"},
      {R"({"model":"m","input":[1.5]})", "input"},
      {R"({"model":"m","input":{"text":"a"}})", "input"},
      {R"({"model":"m","input":"a","encoding_format":"int8"})", "encoding_format"},
      {R"({"model":"m","input":"a","encoding_format":7})", "encoding_format"},
      {R"({"model":"m","input":"a","dimensions":0})", "dimensions"},
      {R"({"model":"m","input":"a","dimensions":"4"})", "dimensions"}};
  for (const auto& [body, field] : cases) {
    const Error error = refused(body);
    EXPECT_EQ(error.field, field) << body << ": " << error.to_string();
    EXPECT_EQ(error.code, ErrorCode::invalid_parameter) << body;
  }
}

TEST(ReadEmbeddings, BoundsNumberAndSize) {
  const auto body = [](const json::array& input) {
    return to_text(json::object{{"model", "m"}, {"input", input}});
  };
  read(body(json::array(kMostInputs, "a")));
  EXPECT_EQ(refused(body(json::array(kMostInputs + 1, "a"))).field, "input");
  EXPECT_EQ(refused(body({std::string(kLargestInput + 1, 'a')})).field, "input");
}

TEST(Embeddings, GoInPortionsAndComeBackInOrder) {
  Engine engine;
  const std::string long_text(3000, 'x');
  const auto portions =
      read(fmt::format(R"({{"model":"m","input":["{0}","{0}","{0}","b"]}})", long_text));
  ASSERT_TRUE(portions->accept(engine.route, engine.target));
  EXPECT_EQ(asked(*portions).at("input").get_array().size(), 2);  // a slot each
  ASSERT_TRUE(portions->take(answer(2, 0)));
  EXPECT_EQ(asked(*portions).at("input").get_array().size(), 2);
  ASSERT_TRUE(portions->take(answer(2, 2)));
  EXPECT_FALSE(portions->next());
  EXPECT_EQ(parse_json(portions->finish({.prompt_tokens = 7})).value(), parse_json(R"({
      "object":"list","model":"m","usage":{"prompt_tokens":7,"total_tokens":7},"data":[
      {"object":"embedding","index":0,"embedding":[0,3,4,0]},
      {"object":"embedding","index":1,"embedding":[1,3,4,0]},
      {"object":"embedding","index":2,"embedding":[2,3,4,0]},
      {"object":"embedding","index":3,"embedding":[3,3,4,0]}]})")
                                                                            .value());
}

TEST(Embeddings, AreCutWhereTheModelWasTrainedForThat) {
  Engine engine;
  engine.route.nested_embeddings = true;
  const auto portions = read(R"({"model":"m","input":"a","dimensions":3})");
  ASSERT_TRUE(portions->accept(engine.route, engine.target));
  EXPECT_FALSE(asked(*portions).contains("dimensions"));
  ASSERT_TRUE(portions->take(answer(1, 0)));
  const auto whole = parse_json(portions->finish({})).value();
  const auto vector = read_vector(whole.at("data").at(0).at("embedding")).value();
  EXPECT_EQ(vector, (std::vector<float>{0, 0.6F, 0.8F}));
}

TEST(Embeddings, AreNotCutElsewhere) {
  Engine engine;
  for (const auto& [dimensions, fits] : {std::pair(4, true), std::pair(3, false)}) {
    const auto portions =
        read(fmt::format(R"({{"model":"m","input":"a","dimensions":{}}})", dimensions));
    const auto accepted = portions->accept(engine.route, engine.target);
    EXPECT_EQ(accepted.has_value(), fits);
    if (!accepted) EXPECT_EQ(accepted.error().field, "dimensions");
  }
  engine.route.nested_embeddings = true;
  EXPECT_FALSE(
      read(R"({"model":"m","input":"a","dimensions":5})")->accept(engine.route, engine.target));
}

TEST(Embeddings, LeaveDimensionsToAnEngineThatKnowsThem) {
  Engine engine;
  engine.target.api.ignores_dimensions = false;
  const auto portions = read(R"({"model":"m","input":"a","dimensions":3})");
  ASSERT_TRUE(portions->accept(engine.route, engine.target));
  EXPECT_EQ(asked(*portions).at("dimensions"), 3);
}

TEST(Embeddings, RefuseMoreTokensThanTheModelReads) {
  Engine engine;
  EXPECT_TRUE(
      read(R"({"model":"m","input":[1,2,3,4,5,6,7,8]})")->accept(engine.route, engine.target));
  const auto refused = read(R"({"model":"m","input":[[1],[1,2,3,4,5,6,7,8,9]]})")
                           ->accept(engine.route, engine.target);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().field, "input");
}

TEST(Embeddings, DoNotTrustTheEngine) {
  Engine engine;
  for (const char* wrong :
       {R"({})", R"({"data":[]})", R"({"data":[1]})", R"({"data":[{"embedding":"!"}]})",
        R"({"data":[{"embedding":"AAA="}]})", R"({"data":[{"embedding":["x"]}]})",
        R"({"data":[{"embedding":"AADAfw=="}]})", R"({"data":[{"embedding":[]}]})"}) {
    const auto portions = read(R"({"model":"m","input":"a"})");
    ASSERT_TRUE(portions->accept(engine.route, engine.target));
    asked(*portions);
    const auto taken = portions->take(parse_json(wrong).value().get_object());
    ASSERT_FALSE(taken) << wrong;
    EXPECT_EQ(taken.error().code, ErrorCode::corrupt);
  }
}

TEST(Vectors, AreTheSameFloatsInBothForms) {
  const std::vector<float> vector{0.1F, -1e-30F, 3.4028235e38F, 16777217.0F, 1.0F / 3};
  for (const bool base64 : {false, true}) {
    std::string text;
    append_vector(text, vector, base64);
    EXPECT_EQ(read_vector(parse_json(text).value()).value(), vector) << text;
  }
}

TEST(PortionOf, IsASlotEachOrSomeThousandBytes) {
  EXPECT_EQ(portion_of(std::vector<std::size_t>(9, 100'000), 0, 4), 4);
  EXPECT_EQ(portion_of(std::vector<std::size_t>(9, 100'000), 6, 4), 3);
  EXPECT_EQ(portion_of(std::vector<std::size_t>(9, 100'000), 0, 0), 1);
  EXPECT_EQ(portion_of(std::vector<std::size_t>(2000, 1), 0, 1), 64);
  EXPECT_EQ(portion_of({}, 0, 4), 0);
}

}  // namespace
}  // namespace berth::gateway
