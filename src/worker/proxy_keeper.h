// ProxyKeeper: the agent's side of its proxy: finds the one that an earlier agent left or starts
// it, keeps its routes up to date, starts it again when it ends.
#pragma once

#include "base/clock.h"
#include "base/data_folder.h"
#include "net/thread_pool.h"
#include "net/url.h"
#include "net/wake_up.h"
#include "process/ports.h"
#include "process/shim.h"
#include "worker/proxy_file.h"
#include "worker/shim_watch.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace berth::worker {

// The name under which its processes are tagged; no instance can have it.
inline constexpr std::string_view kProxyInstance = "@proxy";

// All of it outlives the keeper.
struct ProxyContext {
  DataFolder data;
  process::PortLeases& ports;
  net::ThreadPool& pool;
  const Clock& clock;
  std::filesystem::path shim_program;
  std::filesystem::path program;  // berth
  std::string version;
  std::string cluster_tag;
  net::Endpoint listen{"127.0.0.1", 0};  // port 0: one of `ports`
  std::function<void()> on_change;       // its address is another one
};

// Lives on one io_context and is used on it alone. Held by shared_ptr while `run` is under way.
class ProxyKeeper {
 public:
  ProxyKeeper(ProxyContext context, net::Executor executor);
  ~ProxyKeeper();
  ProxyKeeper(const ProxyKeeper&) = delete;
  ProxyKeeper& operator=(const ProxyKeeper&) = delete;

  // Takes up what an earlier agent left: its port and routes. Blocks; before `run`.
  void open(Credentials credentials, AgentRoute agent);
  // Goes on until `stop` or `detach`.
  net::Task<> run();
  // By which the proxy is known from now on.
  net::Task<> set_credentials(Credentials credentials);
  // Replaces the routes; when it returns, a request for any of them finds its engine. A route
  // without port keeps the one that it had: its engine may have been left by an earlier agent.
  net::Task<> set_routes(std::vector<ProxyRoute> routes, std::vector<ProxyTunnel> tunnels = {});
  // Ends the proxy.
  void stop();
  // Leaves it running for the next agent.
  void detach();

  [[nodiscard]] std::uint16_t port() const { return file_.port; }

 private:
  // What is needed to own a running proxy.
  struct Running {
    process::ShimHandle shim;
    process::ProcessIdentity process;
  };

  Result<Running> start() const;
  [[nodiscard]] Result<Running> adopt() const;
  net::Task<> supervise();
  net::Task<> end();
  // Writes the file, and lets a running proxy read it.
  net::Task<> tell();
  void own(Running running);
  // Whether its port is a setting.
  [[nodiscard]] bool has_own_port() const { return context_.listen.port != 0; }
  [[nodiscard]] bool is_leaving() const { return stopping_ || detached_; }
  [[nodiscard]] std::filesystem::path folder() const { return context_.data.worker() / "proxy"; }
  [[nodiscard]] std::filesystem::path path() const { return folder() / "proxy.json"; }
  [[nodiscard]] std::filesystem::path shim_state() const { return folder() / "shim.json"; }

  ProxyContext context_;
  std::shared_ptr<net::WakeUp> wake_up_;
  ProxyFile file_;
  bool must_replace_ = false;  // the one that an earlier agent left
  bool stopping_ = false;
  bool detached_ = false;
  std::optional<process::ShimHandle> shim_;
  process::ProcessIdentity process_;
  std::unique_ptr<ShimWatch> shim_watch_;
};

}  // namespace berth::worker
