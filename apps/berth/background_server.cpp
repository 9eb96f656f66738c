#include "background_server.h"

#include "base/clock.h"
#include "base/files.h"
#include "client_settings.h"
#include "net/client.h"
#include "process/pidfd.h"
#include "process/platform/process_info.h"
#include "process/spawn.h"
#include "serve_settings.h"
#include "terminal.h"

#include <arpa/inet.h>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <netinet/in.h>
#include <sys/socket.h>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

namespace berth::app {
namespace {

constexpr std::chrono::seconds kStartPatience{30};
constexpr std::chrono::seconds kStopPatience{60};
constexpr std::chrono::seconds kReloadPatience{10};
constexpr std::chrono::milliseconds kLook{100};
constexpr std::size_t kShownLines = 5;

// Whether the server at `url` answers a GET with 200.
bool answers(const std::string& url, const std::string& target, net::Headers headers = {}) {
  const auto parsed = net::parse_url(url);
  if (!parsed) return false;
  net::ClientRequest request;
  request.target = target;
  request.headers = std::move(headers);
  constexpr std::chrono::seconds kHealthPatience{5};
  const auto response = net::fetch_blocking(
      parsed->endpoint, std::move(request),
      {.connect = kHealthPatience, .head = kHealthPatience, .idle = kHealthPatience});
  return response && response->status == 200;
}

// Whether nobody listens on an IPv4 address; true for what can not be tried.
bool can_listen(const net::Endpoint& endpoint) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(endpoint.port);
  if (::inet_pton(AF_INET, endpoint.host.c_str(), &address.sin_addr) != 1) return true;
  const process::OwnedFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return true;
  const int yes = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  return ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

Result<std::vector<std::string>> server_command(const DataFolder& data) {
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return fail(ErrorCode::io, "finding this program: {}", error.message());
  std::vector<std::string> argv = {program.string(), "serve", "--data", data.root.string()};
  BERTH_TRY(const auto settings, read_serve_settings(data, std::nullopt));
  if (settings.listen != ServeSettings().listen) return argv;
  const auto listen = net::parse_endpoint(settings.listen);
  if (listen && !can_listen(*listen)) {
    argv.insert(argv.end(), {"--listen", fmt::format("{}:0", listen->host)});
  }
  return argv;
}

Result<process::OwnedFd> open_log(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::create_directories(path.parent_path(), error);
  if (error) {
    return fail(ErrorCode::io, "making {}: {}", path.parent_path().string(), error.message());
  }
  process::OwnedFd log(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!log.valid()) return fail_errno(errno, "opening {}", path.string());
  return log;
}

// So that the server, which prints a key that it made, does not print one into a log.
Result<void> make_admin_key(const DataFolder& data) {
  std::error_code error;
  if (std::filesystem::exists(data.admin_key(), error)) return {};
  BERTH_CHECK(server::reset_admin_key(data));
  return {};
}

// One command at a time starts a server; the others wait for it.
Result<FileLock> lock_start(const DataFolder& data, SteadyTime deadline) {
  for (;;) {
    auto lock = FileLock::try_acquire(data.root / "start.lock");
    const bool wait =
        !lock && lock.error().code == ErrorCode::conflict && real_clock().steady_now() < deadline;
    if (!wait) return lock;
    std::this_thread::sleep_for(kLook);
  }
}

Result<server::ServerInfo> wait_for_server(const DataFolder& data, const process::Child& child,
                                           const std::filesystem::path& log, SteadyTime deadline) {
  for (;;) {
    const bool ended = child.pidfd.wait(kLook);
    if (auto info = find_running_server(data); info && answers(info->url, "/health")) return *info;
    if (ended || real_clock().steady_now() >= deadline) {
      return fail(ErrorCode::unavailable, "the server {}; {} ends with:\n{}",
                  ended ? "ended at its start" : "does not answer", log.string(),
                  read_last_lines(log, kShownLines));
    }
  }
}

// The server's process, if it is one of this program.
Result<process::Pidfd> open_server(const server::ServerInfo& info) {
  BERTH_TRY(auto pidfd, process::Pidfd::open(info.pid));
  const auto process = process::platform::process_info(info.pid);
  const auto self = process::platform::process_info(::getpid());
  if (!process || !self || process->name != self->name) {
    return fail(ErrorCode::conflict, "process {} is not the server that server.json means",
                info.pid);
  }
  return pidfd;
}

}  // namespace

Result<server::ServerInfo> start_background_server(const DataFolder& data) {
  BERTH_CHECK(create_data_folder(data));
  const auto deadline = real_clock().steady_now() + kStartPatience;
  BERTH_TRY(const auto lock, lock_start(data, deadline));
  if (auto info = find_running_server(data); info && answers(info->url, "/health")) return *info;

  BERTH_CHECK(make_admin_key(data));
  const auto path = data.logs() / "server.log";
  BERTH_TRY(const auto log, open_log(path));
  process::SpawnOptions options;
  BERTH_TRY(options.argv, server_command(data));
  options.standard_output = {.kind = process::Stdio::Kind::fd, .fd = log.get()};
  options.standard_error = {.kind = process::Stdio::Kind::to_stdout};
  Progress progress;
  progress.show("no server runs; starting one in the background");
  BERTH_TRY(const auto child, process::spawn(options));
  auto info = wait_for_server(data, child, path, deadline);
  progress.clear();
  if (!info) return info;
  fmt::print(stderr, "berth: started a server on {}; its key is in {}, its log {}.\n", info->url,
             data.admin_key().string(), path.string());
  fmt::print(stderr, "berth: it goes on in the background; berth shutdown ends it.\n");
  return info;
}

Result<server::ServerInfo> stop_server(const DataFolder& data) {
  const auto info = find_running_server(data);
  if (!info) return fail(ErrorCode::not_found, "no server runs on {}", data.root.string());
  BERTH_TRY(const auto pidfd, open_server(*info));
  BERTH_CHECK(pidfd.send(SIGTERM));
  Progress progress;
  progress.show("the server ends its engines and itself");
  if (!pidfd.wait(kStopPatience)) {
    return fail(ErrorCode::timeout, "the server (process {}) has not ended after {}", info->pid,
                duration_text(kStopPatience));
  }
  return *info;
}

Result<bool> reload_server_keys(const DataFolder& data, const std::string& key) {
  const auto info = find_running_server(data);
  if (!info) return false;
  BERTH_TRY(const auto pidfd, open_server(*info));
  BERTH_CHECK(pidfd.send(SIGHUP));
  const auto until = real_clock().steady_now() + kReloadPatience;
  const net::Headers headers{{"authorization", "Bearer " + key}};
  while (!answers(info->url, "/api/v1/server", headers)) {
    if (real_clock().steady_now() >= until) {
      return fail(ErrorCode::timeout, "the server at {} does not take the new key; see its log",
                  info->url);
    }
    std::this_thread::sleep_for(kLook);
  }
  return true;
}

}  // namespace berth::app
