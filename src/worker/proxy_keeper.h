// ProxyKeeper: the agent's side of its proxy: finds the one that an earlier agent left or starts
// it, keeps its routes up to date, starts it again when it ends.
#pragma once

#include "base/clock.h"
#include "base/data_folder.h"
#include "net/thread_pool.h"
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
  std::function<void()> on_change;  // its address is another one
};

// Lives on one io_context and is used on it alone. Held by shared_ptr while `run` is under way.
class ProxyKeeper {
 public:
  ProxyKeeper(ProxyContext context, net::Executor executor);
  ~ProxyKeeper();
  ProxyKeeper(const ProxyKeeper&) = delete;
  ProxyKeeper& operator=(const ProxyKeeper&) = delete;

  // Takes up what an earlier agent left: its key and port. Blocks; before `run`.
  void open();
  // Goes on until `stop` or `detach`.
  net::Task<> run();
  // Replaces the routes; when it returns, a request for any of them finds its engine. A route
  // without port keeps the one that it had: its engine may have been left by an earlier agent.
  net::Task<> set_routes(std::vector<ProxyRoute> routes);
  // Ends the proxy.
  void stop();
  // Leaves it running for the next agent.
  void detach();

  [[nodiscard]] std::string address() const;  // "127.0.0.1:20001"
  [[nodiscard]] const std::string& access_key() const { return file_.access_key; }

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
  void own(Running running);
  [[nodiscard]] bool is_leaving() const { return stopping_ || detached_; }
  [[nodiscard]] std::filesystem::path folder() const { return context_.data.worker() / "proxy"; }
  [[nodiscard]] std::filesystem::path path() const { return folder() / "proxy.json"; }
  [[nodiscard]] std::filesystem::path shim_state() const { return folder() / "shim.json"; }

  ProxyContext context_;
  std::shared_ptr<net::WakeUp> wake_up_;
  ProxyFile file_;
  bool other_version_ = false;  // the one that an earlier agent left
  bool stopping_ = false;
  bool detached_ = false;
  std::optional<process::ShimHandle> shim_;
  process::ProcessIdentity process_;
  std::unique_ptr<ShimWatch> shim_watch_;
};

}  // namespace berth::worker
