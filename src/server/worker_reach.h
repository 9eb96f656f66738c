// WorkerReach: tries now and then whether the server can connect to each worker. A worker that
// reports but can not be reached, behind a firewall perhaps, is of no use to anybody.
#pragma once

#include "net/task.h"
#include "net/url.h"
#include "server/worker_registry.h"

#include <functional>
#include <map>
#include <string>
#include <thread>

namespace berth::server {

// Runs on a thread of its own until destruction; what it finds goes into the registry.
class WorkerReach {
 public:
  // `on_change`, called on that thread, when a worker can not be reached any more, or can again.
  WorkerReach(WorkerRegistry& workers, std::function<void()> on_change);
  ~WorkerReach();
  WorkerReach(const WorkerReach&) = delete;
  WorkerReach& operator=(const WorkerReach&) = delete;

 private:
  net::Task<> run();
  net::Task<> look(std::string worker, std::string address);

  WorkerRegistry& workers_;
  std::function<void()> on_change_;
  std::map<std::string, SteadyTime> due_;  // the next try, by worker; max while one is under way
  std::size_t under_way_ = 0;
  net::IoContext context_{1};
  std::jthread thread_;
};

}  // namespace berth::server
