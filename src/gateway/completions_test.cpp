// The way of a request, through a real gateway and client, to an engine that each test makes up.
#include "gateway/completions.h"

#include "base/json.h"
#include "gateway/test_gateway.h"
#include "net/testing.h"

#include <atomic>
#include <functional>
#include <mutex>

#include <gtest/gtest.h>

namespace berth::gateway {
namespace {

using net::testing::RawConnection;
using net::testing::RunningServer;

constexpr std::string_view kProgress =
    R"({"id":"c","choices":[{"index":0,"text":""}],"prompt_progress":{"total":9,"processed":1}})";
constexpr std::string_view kHello = R"({"id":"c","choices":[{"index":0,"text":"hello"}]})";
constexpr std::string_view kEnd =
    R"({"id":"c","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1}})";

std::string event(std::string_view data) { return "data: " + std::string(data) + "\n\n"; }

// An engine that writes what it is told, and notes what it saw.
struct FakeEngine {
  int status = 200;
  std::vector<std::string> pieces;  // of its answer, one write each
  bool endless = false;             // goes on with the last piece until the client is gone
  Duration pause{};                 // before each piece
  bool breaks_off = false;          // ends the connection instead of the answer
  std::string content_type = "text/event-stream";

  std::mutex mutex;
  json::value asked;  // the body of the last request
  std::atomic<int> requests = 0;
  std::atomic<std::size_t> written = 0;
  std::atomic<bool> lost_client = false;
};

net::Task<> answer(FakeEngine& engine, net::Exchange& exchange) {
  ++engine.requests;
  auto body = co_await exchange.read_body();
  if (!body) co_return;
  {
    const std::lock_guard lock(engine.mutex);
    engine.asked = parse_json(*body).value_or(json::value{});
  }
  net::Headers headers;
  headers.set("content-type", engine.content_type);
  auto sent = co_await exchange.start(engine.status, std::move(headers));
  std::size_t next = 0;
  while (sent && next < engine.pieces.size()) {
    if (engine.pause > Duration::zero()) co_await net::sleep_for(engine.pause);
    sent = co_await exchange.write(engine.pieces[next]);
    if (sent) engine.written += engine.pieces[next].size();
    if (next + 1 < engine.pieces.size() || !engine.endless) ++next;
  }
  engine.lost_client = !sent;
  if (sent && !engine.breaks_off) co_await exchange.finish();
}

net::Router engine_router(FakeEngine& engine) {
  net::Router router;
  router.add("POST", "/v1/completions",
             [&engine](net::Exchange& exchange) { return answer(engine, exchange); });
  return router;
}

// A gateway in front of engines.
class Completions : public ::testing::Test {
 protected:
  void start(const std::string& backend = "llama-box") {
    engine_server_ = std::make_unique<RunningServer>(engine_router(engine_));
    start_with(backend, {engine_server_->endpoint()});
  }
  void start_with(const std::string& backend, const std::vector<net::Endpoint>& endpoints) {
    gateway_ = std::make_unique<TestGateway>(backend, endpoints);
    server_ = std::make_unique<RunningServer>(gateway_->router());
    wait_for([&] { return get("/v1/models").body.find("\"m\"") != std::string::npos; });
  }

  static void wait_for(const std::function<bool()>& check) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!check()) {
      ASSERT_LT(std::chrono::steady_clock::now(), until) << "it did not happen within 20 s";
      std::this_thread::sleep_for(std::chrono::milliseconds(5));  // until the deadline above
    }
  }

  net::Response get(std::string target) { return send("GET", std::move(target), ""); }
  net::Response post(std::string body) { return send("POST", "/v1/completions", std::move(body)); }
  net::Response send(std::string method, std::string target, std::string body) {
    net::ClientRequest request{.method = std::move(method), .target = std::move(target)};
    request.headers.set("authorization", "Bearer " + gateway_->key());
    request.body = std::move(body);
    auto response = net::fetch_blocking(server_->endpoint(), std::move(request));
    EXPECT_TRUE(response) << response.error().to_string();
    return response.value_or(net::Response{.status = 0});
  }

  // A request whose answer the test reads itself, or does not.
  [[nodiscard]] std::string raw_post(const std::string& body) const {
    return fmt::format(
        "POST /v1/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n"
        "Content-Length: {}\r\n\r\n{}",
        gateway_->key(), body.size(), body);
  }

  FakeEngine engine_;
  std::unique_ptr<RunningServer> engine_server_;
  std::unique_ptr<TestGateway> gateway_;
  std::unique_ptr<RunningServer> server_;
};

TEST_F(Completions, AClientThatStreamsSeesNoProgress) {
  start();
  engine_.pieces = {event(kProgress), event(kProgress) + event(kHello), event(kEnd),
                    event("[DONE]")};
  const auto response = post(R"({"model":"m","prompt":"x","stream":true})");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.headers.get("content-type").value_or(""), "text/event-stream");
  EXPECT_EQ(response.body, event(kHello) + event("[DONE]"));
  EXPECT_EQ(engine_.asked.at("return_progress"), true);
}

TEST_F(Completions, AClientThatDoesNotStreamGetsOneAnswer) {
  start();
  engine_.pieces = {event(kProgress), event(kHello), event(kEnd), event("[DONE]")};
  const auto response = post(R"({"model":"m","prompt":"x"})");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.headers.get("content-type").value_or(""), "application/json");
  EXPECT_EQ(parse_json(response.body).value(),
            parse_json(R"({"id":"c","choices":[{"index":0,"text":"hello"}],
                "usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}})")
                .value());
  EXPECT_EQ(engine_.asked.at("stream"), true);
}

TEST_F(Completions, AnEngineThatNoticesItsClientsIsAskedAsTheClientAsked) {
  start("another");
  engine_.content_type = "application/json";
  engine_.pieces = {R"({"choices":[]})"};
  const auto response = post(R"({"model":"m","prompt":"x"})");
  EXPECT_EQ(response.body, R"({"choices":[]})");
  EXPECT_FALSE(engine_.asked.get_object().contains("stream"));
}

TEST_F(Completions, AnErrorBeforeTheFirstPieceHasAStatusOfItsOwn) {
  start();
  engine_.pieces = {event(kProgress),
                    event(R"({"error":{"code":400,"message":"too long","type":"x"}})")};
  for (const char* body : {R"({"model":"m","prompt":"x","stream":true})", R"({"model":"m"})"}) {
    const auto response = post(body);
    EXPECT_EQ(response.status, 400) << response.body;
    EXPECT_NE(response.body.find("too long"), std::string::npos) << response.body;
  }
}

TEST_F(Completions, WhatTheRequestIsToBlameForIsNoErrorOfTheEngine) {
  start();
  engine_.status = 500;
  engine_.pieces = {R"({"error":{"code":500,"message":"image input is not supported - hint"}})"};
  const auto refused = post(R"({"model":"m"})");
  EXPECT_EQ(refused.status, 400) << refused.body;
  EXPECT_NE(refused.body.find("this model takes no images"), std::string::npos) << refused.body;
  engine_.pieces = {R"({"error":{"code":500,"message":"out of memory"}})"};
  EXPECT_EQ(post(R"({"model":"m"})").status, 500);
}

TEST_F(Completions, AnEngineThatBreaksOffIsTold) {
  start();
  engine_.pieces = {event(kHello)};
  engine_.breaks_off = true;
  const auto streamed = post(R"({"model":"m","stream":true})");
  EXPECT_EQ(streamed.status, 200);
  EXPECT_NE(streamed.body.find("the engine broke off"), std::string::npos) << streamed.body;
  const auto whole = post(R"({"model":"m"})");
  EXPECT_EQ(whole.status, 503);
  EXPECT_NE(whole.body.find("broke off"), std::string::npos) << whole.body;
}

TEST_F(Completions, ALostClientIsPassedOnToTheEngine) {
  start();
  engine_.pieces = {event(kProgress)};  // a prompt without end
  engine_.endless = true;
  engine_.pause = std::chrono::milliseconds(5);
  for (const char* body : {R"({"model":"m","stream":true})", R"({"model":"m"})"}) {
    engine_.lost_client = false;
    const std::size_t before = engine_.written;
    RawConnection connection(server_->endpoint());
    connection.send(raw_post(body));
    wait_for([&] { return engine_.written > before; });
    connection.close();
    wait_for([&] { return engine_.lost_client.load(); });
  }
}

TEST_F(Completions, AClientThatDoesNotReadHoldsTheEngineBack) {
  start();
  const std::string piece(60'000, 'x');
  engine_.pieces = {event(fmt::format(R"({{"choices":[{{"text":"{}"}}]}})", piece))};
  engine_.endless = true;
  RawConnection connection(server_->endpoint(), 4096);
  connection.send(raw_post(R"({"model":"m","stream":true})"));
  // What is under way fills the kernel's buffers of both connections, and no more is taken.
  std::size_t seen = 0;
  wait_for([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));  // long enough to write more
    return std::exchange(seen, engine_.written.load()) == engine_.written && seen > 0;
  });
  EXPECT_LT(engine_.written, 32U << 20U);
  connection.close();
  wait_for([&] { return engine_.lost_client.load(); });
}

TEST_F(Completions, ARequestThatReachedNoEngineGoesToAnother) {
  FakeEngine alive;
  alive.pieces = {event(kHello), event("[DONE]")};
  RunningServer server(engine_router(alive));
  start_with("llama-box", {{"127.0.0.1", 1}, server.endpoint()});
  for (int i = 1; i <= 8; ++i) {
    const auto response = post(R"({"model":"m","prompt":"x"})");
    EXPECT_EQ(response.status, 200) << response.body;
    EXPECT_EQ(alive.requests, i);
  }
}

TEST_F(Completions, WithoutAnyEngineTheAnswerSaysWhenToComeAgain) {
  start_with("llama-box", {{"127.0.0.1", 1}});
  const auto response = post(R"({"model":"m","prompt":"x"})");
  EXPECT_EQ(response.status, 503);
  EXPECT_TRUE(response.headers.contains("retry-after"));
}

}  // namespace
}  // namespace berth::gateway
