#include "worker/proxy.h"

#include "base/clock.h"
#include "cluster/certificates.h"
#include "cluster/protocol.h"
#include "net/client.h"
#include "net/relay.h"
#include "net/server.h"
#include "net/thread_pool.h"
#include "worker/listener.h"
#include "worker/proxy_file.h"
#include "worker/tunnels.h"

#include <algorithm>
#include <csignal>
#include <map>
#include <mutex>
#include <thread>

#include <spdlog/spdlog.h>

namespace berth::worker {
namespace {

// As the gateway's: a whole answer of a slow machine.
constexpr std::chrono::minutes kEnginePatience{30};
constexpr net::ClientDeadlines kDeadlines{
    .connect = std::chrono::seconds(2), .head = kEnginePatience, .idle = std::chrono::seconds(60)};
constexpr Bytes kBodyLimit = 64_MiB;
constexpr std::chrono::seconds kStopGrace{3};
constexpr std::size_t kQueue = 256;
constexpr unsigned kMostThreads = 2;

struct Target {
  std::uint16_t port = 0;
  std::string key;
  std::string tunnel_from = {};  // see ProxyRoute
  friend bool operator==(const Target&, const Target&) = default;
};

// A snapshot of the file.
struct Routes {
  Credentials credentials;
  std::shared_ptr<const net::Tls> tls;
  Target agent;
  std::map<std::string, Target, std::less<>> targets;
};

// "/v1/models?x=1" of "/engines/NAME/v1/models?x=1", as it was sent.
std::string_view rest_of(std::string_view target) {
  constexpr std::string_view kStart = "/engines/";
  target.remove_prefix(std::min(target.size(), kStart.size()));
  return target.substr(std::min(target.find('/'), target.size()));
}

net::Response unreached(Error error) {
  auto response = net::error_response(error);
  response.headers.set(cluster::kUnreachedHeader, "1");
  return response;
}

bool is_unreached(const Error& error) { return error.code == ErrorCode::unavailable; }

}  // namespace

struct Proxy::State {
  explicit State(std::filesystem::path path) : file(std::move(path)) {}

  [[nodiscard]] std::shared_ptr<const Routes> routes() const { return std::atomic_load(&current); }

  Result<void> reload() {
    BERTH_TRY(const ProxyFile read, read_proxy_file(file));
    auto next = std::make_shared<Routes>();
    const auto before = routes();
    next->tls = before->tls;
    if (read.credentials != before->credentials) {
      BERTH_TRY(next->tls, cluster::member_tls({.certificate = read.credentials.certificate,
                                                .key = read.credentials.key},
                                               read.credentials.authority));
    }
    next->credentials = read.credentials;
    next->agent = {.port = read.agent.port, .key = read.agent.access_key};
    for (const auto& route : read.routes) {
      next->targets[route.name] = {
          .port = route.port, .key = route.engine_key, .tunnel_from = route.tunnel_from};
    }
    std::atomic_store(&current, std::shared_ptr<const Routes>(std::move(next)));
    tunnels.set(read.tunnels);
    return {};
  }

  // The target of a name as the file has it by now; nullopt where it has none.
  net::Task<std::optional<Target>> look_again(std::string name) {
    auto read = co_await net::offload(pool, [this] { return reload(); });
    if (!read) spdlog::warn("the routes are as before: {}", read.error().to_string());
    co_return find(name);
  }

  [[nodiscard]] std::optional<Target> find(std::string_view name) const {
    const auto now = routes();
    const auto found = now->targets.find(name);
    if (found == now->targets.end()) return std::nullopt;
    return found->second;
  }

  // Nobody else may come in: the authority signs other workers' certificates too.
  [[nodiscard]] Result<void> check_sender(const net::Request& request) const {
    const auto now = routes();
    const bool is_server = request.certificate != nullptr &&
                           !now->credentials.server_name.empty() &&
                           request.certificate->name == now->credentials.server_name;
    if (is_server) return {};
    return fail(ErrorCode::unauthenticated, "only the cluster's server may ask a worker");
  }

  // The certificate of another member than the server, whom the agent asks about it.
  [[nodiscard]] static Result<void> check_peer(const net::Request& request, const Routes& now) {
    const bool is_peer = request.certificate != nullptr && !request.certificate->name.empty() &&
                         request.certificate->name != now.credentials.server_name;
    if (is_peer) return {};
    return fail(ErrorCode::unauthenticated, "only the cluster's workers may ask for this");
  }

  net::Task<Result<net::ClientResponse>> send_to_agent(net::Exchange& exchange, Target agent,
                                                       std::string_view body) const {
    net::Headers headers = exchange.request().headers;
    headers.set(cluster::kPeerNameHeader, exchange.request().certificate->name);
    headers.set(cluster::kPeerSerialHeader, exchange.request().certificate->serial);
    return send(exchange, std::move(agent), exchange.request().target, body, std::move(headers));
  }

  net::Task<Result<net::ClientResponse>> send(net::Exchange& exchange, Target target,
                                              std::string path, std::string_view body,
                                              net::Headers headers) const {
    net::ClientRequest request;
    request.method = exchange.request().method;
    request.target = std::move(path);
    request.headers = std::move(headers);
    request.headers.erase_hop_by_hop();
    request.headers.erase("expect");  // the body is here
    request.headers.erase("host");    // the client sets the engine's
    request.headers.set("authorization", "Bearer " + target.key);
    request.body_view = body;
    request.abort = std::make_shared<net::Abort>();
    exchange.on_client_gone([abort = request.abort] { abort->abort(); });
    auto& client = net::Client::of(exchange.executor().context());
    auto answer = co_await client.send({"127.0.0.1", target.port}, std::move(request), kDeadlines);
    exchange.on_client_gone({});
    co_return answer;
  }

  net::Task<Result<void>> pass_peer(net::Exchange& exchange) {
    BERTH_CO_CHECK(check_peer(exchange.request(), *routes()));
    co_return co_await pass_to_agent(exchange);
  }

  net::Task<Result<void>> pass_question(net::Exchange& exchange) {
    BERTH_CO_CHECK(check_sender(exchange.request()));
    co_return co_await pass_to_agent(exchange);
  }

  net::Task<Result<void>> pass_to_agent(net::Exchange& exchange) {
    auto read = co_await exchange.read_body(kBodyLimit);
    BERTH_CO_TRY(const std::string body, std::move(read));
    Target agent = routes()->agent;
    auto answer = co_await send_to_agent(exchange, agent, body);
    if (!answer && is_unreached(answer.error())) {
      // Another agent listens elsewhere.
      auto reread = co_await net::offload(pool, [this] { return reload(); });
      const Target moved = routes()->agent;
      if (reread && moved != agent) {
        answer = co_await send_to_agent(exchange, moved, body);
      }
    }
    if (!answer) co_return fail(std::move(answer).error().context("the worker's agent is away"));
    co_return co_await net::relay_answer(exchange, std::move(*answer), kEnginePatience);
  }

  net::Task<Result<void>> pass(net::Exchange& exchange) {
    BERTH_CO_CHECK(check_sender(exchange.request()));
    auto read = co_await exchange.read_body(kBodyLimit);
    BERTH_CO_TRY(const std::string body, std::move(read));
    const std::string name(exchange.param("name"));
    auto target = find(name);
    // The agent writes first and tells afterwards: the file may know more by now.
    if (!target) target = co_await look_again(name);
    if (!target) {
      co_return fail(ErrorCode::unavailable, "no engine of {} runs on this worker", name);
    }
    const std::string path(rest_of(exchange.request().target));
    const auto& headers = exchange.request().headers;
    auto answer = co_await send(exchange, *target, path, body, headers);
    if (!answer && is_unreached(answer.error())) {
      const auto moved = co_await look_again(name);
      if (moved && moved != target) answer = co_await send(exchange, *moved, path, body, headers);
    }
    if (!answer) co_return fail(std::move(answer).error());
    co_return co_await net::relay_answer(exchange, std::move(*answer), kEnginePatience);
  }

  net::Task<Result<void>> join(net::Exchange& exchange) {
    const std::string name(exchange.param("name"));
    auto target = find(name);
    if (!target) target = co_await look_again(name);
    if (!target) {
      co_return fail(ErrorCode::unavailable, "no engine of {} runs on this worker", name);
    }
    const auto& certificate = exchange.request().certificate;
    if (certificate == nullptr || target->tunnel_from.empty() ||
        certificate->name != target->tunnel_from) {
      co_return fail(ErrorCode::permission_denied, "{} has no tunnel for you", name);
    }
    net::Peer engine{.endpoint = {"127.0.0.1", target->port}, .tls = {}};
    auto connected = co_await net::connect_to(std::move(engine), kDeadlines.connect);
    BERTH_CO_TRY(auto transport, std::move(connected));
    auto upgraded = co_await exchange.upgrade(std::string(net::kTunnelProtocol));
    BERTH_CO_TRY(auto client, std::move(upgraded));
    co_await net::splice(std::move(client), std::move(transport));
    co_return Result<void>{};
  }

  net::Task<> handle(net::Exchange& exchange, net::Task<Result<void>> work) const {
    auto done = co_await std::move(work);
    if (done || exchange.responded() || exchange.gone()) co_return;
    const Error& error = done.error();
    auto response = is_unreached(error) ? unreached(error) : net::error_response(error);
    co_await exchange.respond(std::move(response));
  }

  std::filesystem::path file;
  net::ThreadPool pool{1, kQueue};
  std::shared_ptr<const Routes> current = std::make_shared<const Routes>();
  Tunnels tunnels{[this] { return routes()->tls; }};
};

Proxy::Proxy(std::filesystem::path file) : state_(std::make_unique<State>(std::move(file))) {}
Proxy::~Proxy() = default;

Result<void> Proxy::reload() { return state_->reload(); }
std::shared_ptr<const net::Tls> Proxy::tls() const { return state_->routes()->tls; }

void Proxy::add_routes(net::Router& router) {
  router.add("GET", "/health", serve_health);
  for (const char* method : {"GET", "POST", "PUT", "PATCH", "DELETE"}) {
    router.add(method, "/engines/{name}/{path...}", [this](net::Exchange& exchange) {
      return state_->handle(exchange, state_->pass(exchange));
    });
    router.add(method, "/worker/{path...}", [this](net::Exchange& exchange) {
      return state_->handle(exchange, state_->pass_question(exchange));
    });
  }
  router.add("GET", "/tunnel/{name}", [this](net::Exchange& exchange) {
    return state_->handle(exchange, state_->join(exchange));
  });
  router.add("GET", "/peer/{path...}", [this](net::Exchange& exchange) {
    return state_->handle(exchange, state_->pass_peer(exchange));
  });
}

Result<void> run_proxy(const std::filesystem::path& file) {
  BERTH_TRY(const ProxyFile settings, read_proxy_file(file));
  Proxy proxy(file);
  BERTH_CHECK(proxy.reload());
  net::Router router;
  proxy.add_routes(router);
  const auto threads = std::clamp(std::thread::hardware_concurrency(), 1U, kMostThreads);
  net::ServerOptions options{
      .address = {settings.host, settings.port}, .threads = threads, .body_limit = kBodyLimit};
  options.tls = [&proxy] { return proxy.tls(); };
  BERTH_TRY(const auto server, net::Server::listen(std::move(options), std::move(router)));
  server->start();
  spdlog::info("passes requests on at {}", net::to_string(server->address()));
  while (wait_for_signal() == SIGHUP) {
    if (auto read = proxy.reload(); !read) {
      spdlog::warn("the routes are as before: {}", read.error().to_string());
    }
  }
  server->stop(kStopGrace);
  return {};
}

}  // namespace berth::worker
