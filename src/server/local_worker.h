// LocalWorker: the worker process that a server starts for its own machine.
#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "process/pidfd.h"

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace berth::server {

struct LocalWorkerOptions {
  std::vector<std::string> argv;  // the program and its arguments
  // How long it may take to end its engines after SIGTERM, before it is killed.
  Duration grace = std::chrono::seconds(30);
};

// Starts the worker, again with a growing pause whenever it ends, and ends it with SIGTERM on
// destruction. Runs on a thread of its own.
class LocalWorker {
 public:
  explicit LocalWorker(LocalWorkerOptions options);
  ~LocalWorker();
  LocalWorker(const LocalWorker&) = delete;
  LocalWorker& operator=(const LocalWorker&) = delete;

 private:
  void run(const std::stop_token& stop);
  // Starts a worker and waits for its end, which it asks for once `stop` is requested. nullopt
  // where it did not start.
  std::optional<process::Pidfd::ExitStatus> run_once(const std::stop_token& stop) const;

  LocalWorkerOptions options_;
  std::mutex mutex_;
  std::condition_variable_any woken_;
  std::jthread thread_;
};

}  // namespace berth::server
