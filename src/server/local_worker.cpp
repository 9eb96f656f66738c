#include "server/local_worker.h"

#include "process/spawn.h"

#include <algorithm>
#include <csignal>

#include <spdlog/spdlog.h>

namespace berth::server {
namespace {

constexpr std::chrono::milliseconds kFirstPause{200};
// A stop waits for the worker too, so not long.
constexpr std::chrono::milliseconds kLongestPause{2'000};
constexpr std::chrono::minutes kHealthy{1};  // a worker that lived this long starts at once again
constexpr std::chrono::milliseconds kPoll{200};

// Waits for the child's end; on a stop request asks it to end, then kills it.
void wait_for(const process::Child& child, const std::stop_token& stop, Duration grace) {
  while (!stop.stop_requested()) {
    if (child.pidfd.wait(kPoll)) return;
  }
  if (!child.pidfd.send(SIGTERM) || child.pidfd.wait(grace)) return;
  spdlog::warn("the local worker did not end within {} s; it is killed", grace.count() / 1000);
  if (!child.pidfd.send(SIGKILL) || !child.pidfd.wait(grace)) {
    spdlog::error("the local worker can not be killed");
  }
}

}  // namespace

LocalWorker::LocalWorker(LocalWorkerOptions options)
    : options_(std::move(options)), thread_([this](const std::stop_token& stop) { run(stop); }) {}

LocalWorker::~LocalWorker() {
  thread_.request_stop();
  woken_.notify_all();
}

void LocalWorker::run(const std::stop_token& stop) {
  auto pause = kFirstPause;
  while (!stop.stop_requested()) {
    const auto started = real_clock().steady_now();
    const auto status = run_once(stop);
    if (stop.stop_requested()) {
      if (status && status->signal == 0 && status->exit_code == 0) return;
      break;
    }
    if (status && status->signal != 0) {
      spdlog::error("the local worker was ended by signal {}; it starts again", status->signal);
    } else if (status) {
      spdlog::error("the local worker ended with code {}; it starts again", status->exit_code);
    }
    if (real_clock().steady_now() - started > kHealthy) pause = kFirstPause;
    std::unique_lock lock(mutex_);
    woken_.wait_for(lock, stop, pause, [] { return false; });
    pause = std::min(pause * 2, kLongestPause);
  }
  // The end came while no worker was there to end its engines: one more does it.
  run_once(stop);
}

std::optional<process::Pidfd::ExitStatus> LocalWorker::run_once(const std::stop_token& stop) const {
  process::SpawnOptions spawn;
  spawn.argv = options_.argv;
  spawn.standard_output = {.kind = process::Stdio::Kind::inherit};
  spawn.standard_error = {.kind = process::Stdio::Kind::inherit};
  spawn.blocked_signals = {SIGTERM};  // until it is ready to end in order
  const auto child = process::spawn(spawn);
  if (!child) {
    spdlog::error("the local worker does not start: {}", child.error().to_string());
    return std::nullopt;
  }
  wait_for(*child, stop, options_.grace);
  process::Pidfd::ExitStatus status;
  child->pidfd.reap(&status);
  return status;
}

}  // namespace berth::server
