#include "gateway/rerank.h"

#include <cmath>

#include <gtest/gtest.h>

namespace berth::gateway {
namespace {

std::unique_ptr<Portions> read(ReadPortions reader, std::string_view body) {
  auto parsed = parse_json(body);
  auto portions = reader(std::move(parsed.value().get_object()));
  EXPECT_TRUE(portions) << portions.error().to_string();
  return std::move(*portions);
}

// What the client gets where the engine gives the documents scores of 0, 1, 2 …
json::object answered(Portions& portions, const ModelRoute& route = {}) {
  Target target;
  target.api = {.raw_scores = true};
  EXPECT_TRUE(portions.accept(route, target));
  double score = 0;
  while (const auto body = portions.next()) {
    const auto asked = parse_json(*body).value();
    json::array results;
    for (std::size_t i = 0; i < asked.at("documents").get_array().size(); ++i) {
      EXPECT_TRUE(asked.at("documents").at(i).is_string());
      results.insert(results.begin(), json::object{{"index", static_cast<std::int64_t>(i)},
                                                   {"relevance_score", score}});
      score += 1;
    }
    EXPECT_TRUE(portions.take({{"results", std::move(results)}}));
  }
  return parse_json(portions.finish({.prompt_tokens = 9})).value().get_object();
}

TEST(Rerank, AnswersJinaWithTheDocumentsTheBestFirst) {
  const auto portions =
      read(read_jina_rerank, R"({"model":"m","query":"q","documents":["a",{"text":"b","x":1}]})");
  const auto answer = answered(*portions);
  EXPECT_EQ(answer.at("model"), "m");
  EXPECT_EQ(answer.at("object"), "list");
  EXPECT_EQ(answer.at("usage").at("total_tokens"), 9);
  const auto& results = answer.at("results").get_array();
  ASSERT_EQ(results.size(), 2);
  EXPECT_EQ(results[0].at("index"), 1);
  EXPECT_EQ(results[0].at("document"), (json::value{{"text", "b"}, {"x", 1}}));
  EXPECT_DOUBLE_EQ(results[0].at("relevance_score").get_double(), 1 / (1 + std::exp(-1.0)));
  EXPECT_EQ(results[1].at("document"), (json::value{{"text", "a"}}));
  EXPECT_DOUBLE_EQ(results[1].at("relevance_score").get_double(), 0.5);
}

TEST(Rerank, AnswersCohereWithoutThem) {
  const auto portions =
      read(read_cohere_rerank, R"({"model":"m","query":"q","documents":["a","b"]})");
  const auto answer = answered(*portions);
  EXPECT_FALSE(answer.at("id").get_string().empty());
  EXPECT_FALSE(answer.contains("usage"));
  EXPECT_EQ(answer.at("meta").at("api_version").at("version"), "2");
  EXPECT_EQ(answer.at("meta").at("billed_units").at("search_units"), 1);
  EXPECT_EQ(answer.at("meta").at("tokens").at("input_tokens"), 9);
  EXPECT_EQ(answer.at("results").at(0).get_object().size(), 2);
}

TEST(Rerank, KeepsTheBestOfAllPortions) {
  json::array documents;
  for (int i = 0; i < 200; ++i) documents.emplace_back(std::to_string(i));
  const auto portions = read(read_jina_rerank, to_text(json::object{{"model", "m"},
                                                                    {"query", "q"},
                                                                    {"documents", documents},
                                                                    {"top_n", 3},
                                                                    {"normalize", false},
                                                                    {"return_documents", false}}));
  const auto answer = answered(*portions);
  EXPECT_EQ(answer.at("results"), parse_json(R"([{"index":199,"relevance_score":199.0},
      {"index":198,"relevance_score":198.0},{"index":197,"relevance_score":197.0}])")
                                      .value());
  EXPECT_EQ(answer.at("meta").at("billed_units").at("search_units"), 2);
}

TEST(Rerank, LeavesProbabilitiesAsTheyAre) {
  const auto portions =
      read(read_jina_rerank, R"({"model":"m","query":"q","documents":["a","b"]})");
  const auto answer = answered(*portions, {.scores_are_probabilities = true});
  EXPECT_EQ(answer.at("results").at(0).at("relevance_score"), 1.0);
}

TEST(ReadRerank, NamesTheFieldThatIsWrong) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"query":"q","documents":["a"]})", "model"},
      {R"({"model":"m","documents":["a"]})", "query"},
      {R"({"model":"m","query":"","documents":["a"]})", "query"},
      {R"({"model":"m","query":"q"})", "documents"},
      {R"({"model":"m","query":"q","documents":[]})", "documents"},
      {R"({"model":"m","query":"q","documents":"a"})", "documents"},
      {R"({"model":"m","query":"q","documents":[1]})", "documents"},
      {R"({"model":"m","query":"q","documents":[{"title":"a"}]})", "documents"},
      {R"({"model":"m","query":"q","documents":["a"],"top_n":0})", "top_n"},
      {R"({"model":"m","query":"q","documents":["a"],"normalize":1})", "normalize"},
      {R"({"model":"m","query":"q","documents":["a"],"return_documents":1})", "return_documents"},
      {R"({"model":"m","query":"q","documents":["a"],"rank_fields":["x"]})", "rank_fields"}};
  for (const auto& [body, field] : cases) {
    const auto portions = read_cohere_rerank(parse_json(body).value().get_object());
    ASSERT_FALSE(portions) << body;
    EXPECT_EQ(portions.error().field, field) << portions.error().to_string();
  }
}

TEST(Rerank, DoesNotTrustTheEngine) {
  for (const char* wrong : {R"({})", R"({"results":[]})", R"({"results":[{"index":0}]})",
                            R"({"results":[{"index":1,"relevance_score":1}]})",
                            R"({"results":[{"index":-1,"relevance_score":1}]})"}) {
    const auto portions = read(read_jina_rerank, R"({"model":"m","query":"q","documents":["a"]})");
    ASSERT_TRUE(portions->accept({}, Target{}));
    ASSERT_TRUE(portions->next());
    EXPECT_FALSE(portions->take(parse_json(wrong).value().get_object())) << wrong;
  }
}

}  // namespace
}  // namespace berth::gateway
