#include "worker/proxy.h"

#include "base/ids.h"
#include "cluster/certificates.h"
#include "cluster/protocol.h"
#include "net/testing.h"
#include "process/ports.h"
#include "worker/proxy_file.h"
#include "worker/tunnels.h"

#include <filesystem>

#include <gtest/gtest.h>

namespace berth::worker {
namespace {

using net::testing::RunningServer;

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
    const auto written =
        write_proxy_file(file(), {.version = "1",
                                  .port = 0,
                                  .credentials = {.certificate = worker_.certificate,
                                                  .key = worker_.key,
                                                  .authority = authority_.certificate,
                                                  .server_name = cluster::server_name("c")},
                                  .agent = {.port = agent_port_, .access_key = "agent-key"},
                                  .routes = routes});
    ASSERT_TRUE(written) << written.error().to_string();
  }
  void start() {
    proxy_ = std::make_unique<Proxy>(file());
    const auto read = proxy_->reload();
    ASSERT_TRUE(read) << read.error().to_string();
    net::Router router;
    proxy_->add_routes(router);
    net::ServerOptions options;
    options.tls = [this] { return proxy_->tls(); };
    server_ = std::make_unique<RunningServer>(std::move(router), std::move(options));
  }

  [[nodiscard]] cluster::Credential credential(const std::string& name) const {
    cluster::Credential made{.certificate = "", .key = cluster::make_key().value()};
    const auto request = cluster::make_request(made.key).value();
    made.certificate = cluster::sign(authority_, request, name, now_).value().certificate;
    return made;
  }
  // Who asks the proxy; nobody without a name.
  [[nodiscard]] net::TlsPeer client(const std::string& name) const {
    const auto own = name.empty() ? cluster::Credential() : credential(name);
    return {.tls = net::Tls::make({.certificate = own.certificate,
                                   .key = own.key,
                                   .authority = authority_.certificate,
                                   .fingerprint = ""})
                       .value(),
            .name = cluster::worker_name("c", "w")};
  }

  [[nodiscard]] net::Response post(std::string target) const {
    return post_as(cluster::server_name("c"), std::move(target));
  }
  [[nodiscard]] net::Response post_as(const std::string& name, std::string target) const {
    net::ClientRequest request{.method = "POST", .target = std::move(target)};
    request.tls = client(name);
    request.headers.set("x-tag", "kept");
    request.headers.set("te", "dropped");
    request.body = "body";
    auto response = net::fetch_blocking(server_->endpoint(), std::move(request));
    EXPECT_TRUE(response) << response.error().to_string();
    return response.value_or(net::Response{.status = 0});
  }

  SystemTime now_ = real_clock().system_now();
  cluster::Credential authority_ = cluster::make_authority("c", now_).value();
  cluster::Credential worker_ = credential(cluster::worker_name("c", "w"));
  std::uint16_t agent_port_ = 1;
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

TEST_F(ProxyTest, LetsOnlyTheServerIn) {
  RunningServer engine_server(engine());
  agent_port_ = engine_server.endpoint().port;
  write({{.name = "a.1.0", .port = engine_server.endpoint().port, .engine_key = "engine-key"}});
  start();
  for (const char* target : {"/engines/a.1.0/v1/x", "/worker/v1/x"}) {
    EXPECT_EQ(post_as("", target).status, 401) << target;
    EXPECT_EQ(post_as(cluster::worker_name("c", "w"), target).status, 401) << target;
    EXPECT_EQ(post_as(cluster::worker_name("c", "server"), target).status, 401) << target;
  }
}

TEST_F(ProxyTest, PassesTheServersQuestionsOnToTheAgent) {
  net::Router routes;
  routes.add("POST", "/worker/v1/{path...}", echo);
  RunningServer agent(std::move(routes));
  agent_port_ = 1;
  write({});
  start();
  EXPECT_EQ(post("/worker/v1/files?x=1").status, 503);
  agent_port_ = agent.endpoint().port;  // another agent, which has written its port down
  write({});
  const auto response = post("/worker/v1/files?x=1");
  EXPECT_EQ(response.status, 201) << response.body;
  EXPECT_TRUE(response.body.starts_with("POST /worker/v1/files?x=1 agent-key kept body"));
}

TEST_F(ProxyTest, TakesUpARenewedCertificate) {
  write({});
  start();
  const auto before = proxy_->tls();
  ASSERT_TRUE(proxy_->reload());
  EXPECT_EQ(proxy_->tls(), before);
  worker_ = credential(cluster::worker_name("c", "w"));
  write({});
  ASSERT_TRUE(proxy_->reload());
  EXPECT_NE(proxy_->tls(), before);
  EXPECT_EQ(post("/engines/a.1.0/v1/x").status, 503);
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

// A request to an engine behind the tunnel that `worker` has to it.
Result<net::Response> through_tunnel(const net::Endpoint& proxy, const net::TlsPeer& worker) {
  process::PortLeases leases;
  const std::uint16_t port = leases.lease(1).value().front();
  Tunnels tunnels([&worker] { return worker.tls; });
  tunnels.set({{.port = port,
                .proxy = net::to_string(proxy),
                .certificate = worker.name,
                .name = "a.1.1"}});
  Result<net::Response> response;
  for (int tries = 0; tries < 1000; ++tries) {  // until it listens
    response = net::fetch_blocking({"127.0.0.1", port}, {.method = "POST", .target = "/v1/x"});
    if (response || response.error().message.find("refused") == std::string::npos) break;
  }
  return response;
}

TEST_F(ProxyTest, JoinsTheEngineOfAnotherWorkerWithOneOfItsOwn) {
  RunningServer engine_server(engine());
  write({{.name = "a.1.1",
          .port = engine_server.endpoint().port,
          .engine_key = "",
          .tunnel_from = cluster::worker_name("c", "main")}});
  start();
  const auto response =
      through_tunnel(server_->endpoint(), client(cluster::worker_name("c", "main")));
  ASSERT_TRUE(response) << response.error().to_string();
  EXPECT_EQ(response->status, 201);
}

TEST_F(ProxyTest, GivesNobodyElseATunnel) {
  RunningServer engine_server(engine());
  write({{.name = "a.1.1",
          .port = engine_server.endpoint().port,
          .engine_key = "",
          .tunnel_from = cluster::worker_name("c", "main")}});
  start();
  for (const auto& name : {cluster::worker_name("c", "other"), cluster::server_name("c")}) {
    EXPECT_FALSE(through_tunnel(server_->endpoint(), client(name))) << name;
  }
}

TEST_F(ProxyTest, HasNoTunnelToAnEngineThatNeedsNone) {
  RunningServer engine_server(engine());
  write({{.name = "a.1.1", .port = engine_server.endpoint().port, .engine_key = "engine-key"}});
  start();
  EXPECT_FALSE(through_tunnel(server_->endpoint(), client(cluster::worker_name("c", "main"))));
}

}  // namespace
}  // namespace berth::worker
