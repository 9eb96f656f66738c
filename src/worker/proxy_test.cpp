#include "worker/proxy.h"

#include "base/ids.h"
#include "cluster/protocol.h"
#include "net/testing.h"
#include "worker/proxy_file.h"

#include <filesystem>

#include <gtest/gtest.h>

namespace berth::worker {
namespace {

using net::testing::RunningServer;

constexpr std::string_view kKey = "proxy-key";

net::Task<> echo(net::Exchange& exchange) {
  const auto body = co_await exchange.read_body();
  const auto& request = exchange.request();
  const std::string text = fmt::format(
      "{} {} {} {} {} {}", request.method, request.target, request.bearer_token(),
      request.headers.get("x-tag").value_or("-"), body.value_or("?"),
      request.headers.contains("te") ? "te" : request.headers.get("host").value_or("-"));
  net::Headers headers{{"x-engine", "yes"}};
  auto sent = co_await exchange.start(201, std::move(headers));
  if (sent) sent = co_await exchange.write(text);
  if (sent) co_await exchange.finish();
}

net::Router engine() {
  net::Router router;
  router.add("POST", "/v1/{path...}", echo);
  router.add("GET", "/v1/{path...}", echo);
  return router;
}

class ProxyTest : public ::testing::Test {
 protected:
  ProxyTest() : folder_(std::filesystem::temp_directory_path() / ("berth-proxy-" + random_id())) {
    std::filesystem::create_directory(folder_);
  }
  ~ProxyTest() override {
    server_.reset();
    proxy_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  [[nodiscard]] std::filesystem::path file() const { return folder_ / "proxy.json"; }
  void write(std::vector<ProxyRoute> routes) const {
    const auto written = write_proxy_file(
        file(), {.version = "1", .port = 0, .access_key = std::string(kKey), .routes = routes});
    ASSERT_TRUE(written) << written.error().to_string();
  }
  void start() {
    proxy_ = std::make_unique<Proxy>(file());
    const auto read = proxy_->reload();
    ASSERT_TRUE(read) << read.error().to_string();
    net::Router router;
    proxy_->add_routes(router);
    server_ = std::make_unique<RunningServer>(std::move(router));
  }

  [[nodiscard]] net::Response post(std::string target, std::string_view key = kKey) const {
    net::ClientRequest request{.method = "POST", .target = std::move(target)};
    request.headers.set("authorization", "Bearer " + std::string(key));
    request.headers.set("x-tag", "kept");
    request.headers.set("te", "dropped");
    request.body = "body";
    auto response = net::fetch_blocking(server_->endpoint(), std::move(request));
    EXPECT_TRUE(response) << response.error().to_string();
    return response.value_or(net::Response{.status = 0});
  }

  std::filesystem::path folder_;
  std::unique_ptr<Proxy> proxy_;
  std::unique_ptr<RunningServer> server_;
};

TEST_F(ProxyTest, PassesARequestOnWithTheEnginesKey) {
  RunningServer engine_server(engine());
  write({{.name = "a.1.0", .port = engine_server.endpoint().port, .engine_key = "engine-key"}});
  start();
  const auto response = post("/engines/a.1.0/v1/chat%2Fx?q=1");
  EXPECT_EQ(response.status, 201);
  EXPECT_EQ(response.body, "POST /v1/chat%2Fx?q=1 engine-key kept body " +
                               net::to_string(engine_server.endpoint()));
  EXPECT_EQ(response.headers.get("x-engine").value_or(""), "yes");
}

TEST_F(ProxyTest, RefusesOtherKeys) {
  RunningServer engine_server(engine());
  write({{.name = "a.1.0", .port = engine_server.endpoint().port, .engine_key = "engine-key"}});
  start();
  EXPECT_EQ(post("/engines/a.1.0/v1/x", "other").status, 401);
  EXPECT_EQ(post("/engines/a.1.0/v1/x", "engine-key").status, 401);
}

TEST_F(ProxyTest, AnEngineThatIsNotThereIsSaidToBeUnreached) {
  write({{.name = "dead.1.0", .port = 1, .engine_key = ""}});
  start();
  for (const char* name : {"dead.1.0", "unknown.1.0"}) {
    const auto response = post(fmt::format("/engines/{}/v1/x", name));
    EXPECT_EQ(response.status, 503);
    EXPECT_TRUE(response.headers.contains(cluster::kUnreachedHeader)) << response.body;
  }
}

TEST_F(ProxyTest, FindsARouteThatTheFileHasByNow) {
  RunningServer engine_server(engine());
  write({{.name = "moved.1.0", .port = 1, .engine_key = ""}});
  start();
  write({{.name = "moved.1.0", .port = engine_server.endpoint().port, .engine_key = "k"},
         {.name = "new.1.0", .port = engine_server.endpoint().port, .engine_key = "k"}});
  EXPECT_EQ(post("/engines/new.1.0/v1/x").status, 201);
  EXPECT_EQ(post("/engines/moved.1.0/v1/x").status, 201);
}

TEST_F(ProxyTest, ADamagedFileLeavesTheRoutesAsTheyWere) {
  RunningServer engine_server(engine());
  write({{.name = "a.1.0", .port = engine_server.endpoint().port, .engine_key = "k"}});
  start();
  std::filesystem::resize_file(file(), 10);
  EXPECT_FALSE(proxy_->reload());
  EXPECT_EQ(post("/engines/a.1.0/v1/x").status, 201);
}

}  // namespace
}  // namespace berth::worker
