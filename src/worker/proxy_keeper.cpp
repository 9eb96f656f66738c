#include "worker/proxy_keeper.h"

#include "base/files.h"
#include "net/url.h"

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <utility>

#include <spdlog/spdlog.h>

namespace berth::worker {
namespace {

constexpr std::chrono::milliseconds kFirstPause{100};
constexpr std::chrono::seconds kLongestPause{10};
constexpr std::chrono::minutes kHealthyWhile{1};  // after it, the pause starts anew
constexpr std::chrono::seconds kShimPatience{10};
constexpr std::chrono::seconds kStopGrace{4};  // a second beyond the proxy's own
constexpr std::chrono::milliseconds kEndPoll{100};
constexpr std::chrono::hours kIdle{1};

}  // namespace

ProxyKeeper::ProxyKeeper(ProxyContext context, net::Executor executor)
    : context_(std::move(context)), wake_up_(std::make_shared<net::WakeUp>(executor)) {}

ProxyKeeper::~ProxyKeeper() = default;

void ProxyKeeper::open(Credentials credentials, AgentRoute agent) {
  std::error_code error;
  std::filesystem::create_directories(folder(), error);
  if (error) spdlog::error("the proxy's folder {}: {}", folder().string(), error.message());
  auto left = read_proxy_file(path());
  if (left) {
    file_ = std::move(*left);
    const bool is_same = file_.version == context_.version && file_.host == context_.listen.host &&
                         (context_.listen.port == 0 || context_.listen.port == file_.port);
    must_replace_ = !is_same;
    if (!has_own_port()) {
      if (auto held = context_.ports.hold(file_.port); !held) file_.port = 0;
    }
  } else if (left.error().code != ErrorCode::not_found) {
    spdlog::warn("the proxy gets a new port: {}", left.error().to_string());
  }
  file_.version = context_.version;
  file_.host = context_.listen.host;
  if (has_own_port()) file_.port = context_.listen.port;
  file_.credentials = std::move(credentials);
  file_.agent = std::move(agent);
}

void ProxyKeeper::stop() {
  stopping_ = true;
  wake_up_->wake();
}

void ProxyKeeper::detach() {
  detached_ = true;
  wake_up_->wake();
}

net::Task<> ProxyKeeper::run() {
  auto found = co_await net::offload(context_.pool, [this] { return adopt(); });
  if (found) own(std::move(*found));
  if (shim_ && must_replace_) {
    spdlog::info("the proxy is of another version, or listens elsewhere; it is replaced");
    co_await end();
  }
  if (shim_) co_await tell();
  Duration pause = kFirstPause;
  while (!is_leaving()) {
    const SteadyTime began = context_.clock.steady_now();
    if (!shim_) {
      if (file_.port == 0) {
        if (auto port = context_.ports.lease()) file_.port = *port;
        context_.on_change();
      }
      auto started = co_await net::offload(context_.pool, [this] { return start(); });
      if (started)
        own(std::move(*started));
      else
        spdlog::error("the proxy does not start: {}", started.error().to_string());
    }
    if (shim_) co_await supervise();
    if (is_leaving()) break;
    if (context_.clock.steady_now() - began > kHealthyWhile) pause = kFirstPause;
    co_await wake_up_->wait(pause);
    pause = std::min<Duration>(pause * 2, kLongestPause);
  }
  if (stopping_) co_await end();
}

// Blocks: files, and the start of a process.
Result<ProxyKeeper::Running> ProxyKeeper::start() const {
  BERTH_CHECK(write_proxy_file(path(), file_));
  process::ShimLaunch launch;
  launch.program = context_.shim_program;
  launch.spec_path = folder() / "shim.spec";
  launch.spec = {
      .cluster = context_.cluster_tag,
      .instance = std::string(kProxyInstance),
      .generation = 0,
      .attempt = 1,
      .argv = {context_.program.string(), "proxy", "--file", path().string()},
      .environment = {},
      .working_directory = "/",
      .state_path = shim_state().string(),
      .log_path = (folder() / "proxy.log").string(),
      .log_limit = 1U << 20U,
      .stop_signal = SIGTERM,
      .stop_grace_milliseconds = static_cast<std::uint64_t>(Duration(kStopGrace).count())};
  BERTH_TRY(auto shim, process::start_shim(launch));
  const auto state =
      process::wait_for_phase(shim_state(), process::ShimPhase::running, kShimPatience);
  if (!state) {
    BERTH_CHECK(process::kill_shim(shim));
    return fail(state.error());
  }
  return Running{.shim = std::move(shim),
                 .process = {.pid = state->engine_pid, .start_time = state->engine_start_time}};
}

Result<ProxyKeeper::Running> ProxyKeeper::adopt() const {
  BERTH_TRY(const auto state, process::read_shim_state(shim_state()));
  BERTH_TRY(auto shim, process::adopt(state));
  return Running{.shim = std::move(shim),
                 .process = {.pid = state.engine_pid, .start_time = state.engine_start_time}};
}

void ProxyKeeper::own(Running running) {
  shim_ = std::move(running.shim);
  process_ = running.process;
  shim_watch_ = std::make_unique<ShimWatch>(*shim_, wake_up_);
}

net::Task<> ProxyKeeper::supervise() {
  while (!is_leaving() && !shim_watch_->ended()) co_await wake_up_->wait(kIdle);
  if (is_leaving()) co_return;
  process::reap(*shim_);
  shim_watch_.reset();
  shim_.reset();
  auto state = co_await net::offload(context_.pool,
                                     [this] { return process::read_shim_state(shim_state()); });
  // It ends by itself only where it can not listen; killed, it comes back where it was.
  const bool gave_up = !has_own_port() && state && state->exit_code.value_or(0) != 0;
  spdlog::warn("the proxy has ended; it starts again{}", gave_up ? " on another port" : "");
  if (gave_up) context_.ports.release(std::exchange(file_.port, std::uint16_t{0}));
}

net::Task<> ProxyKeeper::end() {
  if (!shim_) co_return;
  auto asked = process::request_stop(*shim_);
  if (!asked) spdlog::warn("the proxy: {}", asked.error().to_string());
  const SteadyTime until = context_.clock.steady_now() + kStopGrace + std::chrono::seconds(1);
  while (!shim_watch_->ended() && context_.clock.steady_now() < until) {
    co_await wake_up_->wait(kEndPoll);
  }
  if (!shim_watch_->ended()) {
    if (auto killed = process::kill_shim(*shim_); !killed) {
      spdlog::error("the proxy: {}", killed.error().to_string());
    }
  }
  process::reap(*shim_);
  shim_watch_.reset();
  shim_.reset();
}

net::Task<> ProxyKeeper::set_routes(std::vector<ProxyRoute> routes,
                                    std::vector<ProxyTunnel> tunnels) {
  for (auto& route : routes) {
    if (route.port != 0) continue;
    const auto before = std::find_if(file_.routes.begin(), file_.routes.end(),
                                     [&](const auto& old) { return old.name == route.name; });
    if (before != file_.routes.end()) route = *before;
  }
  std::erase_if(routes, [](const ProxyRoute& route) { return route.port == 0; });
  if (routes == file_.routes && tunnels == file_.tunnels) co_return;
  file_.routes = std::move(routes);
  file_.tunnels = std::move(tunnels);
  co_await tell();
}

net::Task<> ProxyKeeper::set_credentials(Credentials credentials) {
  if (credentials == file_.credentials) co_return;
  file_.credentials = std::move(credentials);
  co_await tell();
}

net::Task<> ProxyKeeper::tell() {
  auto written = co_await net::offload(
      context_.pool, [this, file = file_] { return write_proxy_file(path(), file); });
  if (!written) {
    spdlog::error("the proxy's routes are as before: {}", written.error().to_string());
    file_.routes.clear();  // so that the next call writes again
    co_return;
  }
  if (!shim_) co_return;
  // One that misses this reads the file at the first request that it knows no engine for.
  if (const auto proxy = process::Pidfd::open(process_)) {
    if (auto told = proxy->send(SIGHUP); !told) spdlog::debug("{}", told.error().to_string());
  }
}

}  // namespace berth::worker
