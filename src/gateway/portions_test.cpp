// Requests for many inputs, through a real gateway, to an engine that each test makes up.
#include "gateway/portions.h"

#include "gateway/test_gateway.h"
#include "net/testing.h"

#include <atomic>
#include <functional>

#include <gtest/gtest.h>

namespace berth::gateway {
namespace {

using net::testing::RawConnection;
using net::testing::RunningServer;

// An engine whose embeddings are a single number, the length of the text.
struct FakeEngine {
  std::size_t fails_at = ~std::size_t{0};  // the request that it answers with an error
  std::atomic<bool> waits = false;         // with its answers
  std::atomic<std::size_t> requests = 0;
};

net::Task<> answer(FakeEngine& engine, net::Exchange& exchange) {
  const std::size_t number = engine.requests++;
  auto body = co_await exchange.read_body();
  if (!body) co_return;
  while (engine.waits) co_await net::sleep_for(std::chrono::milliseconds(5));
  if (number == engine.fails_at) {
    co_await exchange.respond(net::json_response(
        500, {{"error", {{"code", 500}, {"message", "input (9 tokens) is too large"}}}}));
    co_return;
  }
  const auto parsed = parse_json(*body).value();
  json::array data;
  for (const auto& input : parsed.at("input").get_array()) {
    data.push_back(json::object{{"embedding", json::array{input.get_string().size()}}});
  }
  const json::object usage{{"prompt_tokens", data.size()}};
  co_await exchange.respond(net::json_response(200, {{"data", data}, {"usage", usage}}));
}

net::Router router_of(FakeEngine& engine) {
  net::Router router;
  router.add("POST", "/v1/embeddings",
             [&engine](net::Exchange& exchange) { return answer(engine, exchange); });
  return router;
}

void wait_for(const std::function<bool()>& check) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!check()) {
    ASSERT_LT(std::chrono::steady_clock::now(), until) << "it did not happen within 20 s";
    std::this_thread::sleep_for(std::chrono::milliseconds(5));  // until the deadline above
  }
}

// A gateway in front of engines of an embedding model.
struct Portioned : ::testing::Test {
  void start(std::vector<net::Endpoint> before = {}) {
    before.push_back(engine_server.endpoint());
    gateway = std::make_unique<TestGateway>(
        "llama-box", before, model::ModelProfile{.category = model::Category::embedding}, 1);
    server = std::make_unique<RunningServer>(gateway->router());
    wait_for([&] { return send("GET", "/v1/models", "").body.find("\"m\"") != std::string::npos; });
  }

  net::Response send(std::string method, std::string target, std::string body) {
    net::ClientRequest request{.method = std::move(method), .target = std::move(target)};
    request.headers.set("authorization", "Bearer " + gateway->key());
    request.body = std::move(body);
    auto response = net::fetch_blocking(server->endpoint(), std::move(request));
    EXPECT_TRUE(response) << response.error().to_string();
    return response.value_or(net::Response{.status = 0});
  }

  // Twice as much as the engine gets at once.
  static std::string many() {
    return to_text(json::object{{"model", "m"}, {"input", json::array(128, "abc")}});
  }

  FakeEngine engine;
  RunningServer engine_server{router_of(engine)};
  std::unique_ptr<TestGateway> gateway;
  std::unique_ptr<RunningServer> server;
};

TEST_F(Portioned, ARequestIsAnsweredAndCounted) {
  start();
  const auto response = send("POST", "/v1/embeddings", R"({"model":"m","input":["a","abc"]})");
  EXPECT_EQ(parse_json(response.body).value(), parse_json(R"({"object":"list","model":"m",
      "usage":{"prompt_tokens":2,"total_tokens":2},"data":[
      {"object":"embedding","index":0,"embedding":[1]},
      {"object":"embedding","index":1,"embedding":[3]}]})")
                                                   .value());
  const std::string figures = send("GET", "/metrics", "").body;
  EXPECT_NE(figures.find(R"(berth_requests_total{model="m",route="embeddings",status="200"} 1)"),
            std::string::npos)
      << figures;
  EXPECT_NE(figures.find(R"(berth_tokens_total{kind="prompt",model="m"} 2)"), std::string::npos)
      << figures;
}

TEST_F(Portioned, AnErrorOfTheEngineIsTheAnswer) {
  engine.fails_at = 1;
  start();
  const auto response = send("POST", "/v1/embeddings", many());
  EXPECT_EQ(response.status, 400) << response.body;
  EXPECT_NE(response.body.find("more tokens than the model reads"), std::string::npos);
}

TEST_F(Portioned, APortionThatReachedNoEngineGoesToAnother) {
  start({{"127.0.0.1", 1}});
  for (std::size_t i = 1; i <= 4; ++i) {
    EXPECT_EQ(send("POST", "/v1/embeddings", many()).status, 200);
    EXPECT_EQ(engine.requests, 2 * i);
  }
}

TEST_F(Portioned, AModelForSomethingElseSaysWhereItAnswers) {
  start();
  for (const char* path : {"/v1/chat/completions", "/v1/completions", "/v1/rerank"}) {
    const auto response = send("POST", path, R"({"model":"m","query":"q","documents":["a"]})");
    EXPECT_EQ(response.status, 400) << response.body;
    EXPECT_NE(response.body.find("it answers POST /v1/embeddings"), std::string::npos);
  }
  EXPECT_EQ(engine.requests, 0);
}

TEST_F(Portioned, ALostClientIsCountedAsSuch) {
  engine.waits = true;
  start();
  RawConnection connection(server->endpoint());
  const std::string body = many();
  connection.send(
      fmt::format("POST /v1/embeddings HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n"
                  "Content-Length: {}\r\n\r\n{}",
                  gateway->key(), body.size(), body));
  wait_for([&] { return engine.requests == 1; });
  connection.close();
  wait_for([&] {
    return send("GET", "/metrics", "").body.find(R"(status="499"} 1)") != std::string::npos;
  });
  engine.waits = false;
  EXPECT_EQ(engine.requests, 1);  // the rest was not asked for
}

}  // namespace
}  // namespace berth::gateway
