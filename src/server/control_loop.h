// ControlLoop: reads what is, asks `reconcile` what should change, writes it. Can be killed at any
// instruction: the next pass goes on from what the store says.
#pragma once

#include "backends/backend.h"
#include "base/clock.h"
#include "server/worker_registry.h"
#include "store/store.h"

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

namespace berth::server {

struct ClusterState;

// Runs on a thread of its own between `start` and destruction.
class ControlLoop {
 public:
  ControlLoop(store::Store& store, WorkerRegistry& workers, const backends::Registry& backends,
              const Clock& clock);
  ~ControlLoop();
  ControlLoop(const ControlLoop&) = delete;
  ControlLoop& operator=(const ControlLoop&) = delete;

  // Called with the state of each pass, before anything changes it, on the thread of that pass:
  // must not block. Lives as long as the loop; set it before `start`.
  using Onlooker = std::function<void(const ClusterState&)>;
  void look_on(Onlooker onlooker) { onlooker_ = std::move(onlooker); }

  void start();
  // Something changed that the store does not show, such as a report. Thread-safe.
  void poke();

  // One pass; true if it wrote something. For tests; otherwise the thread calls it.
  Result<bool> run_once();

 private:
  void run(const std::stop_token& stop);
  // Marks workers that fell silent, or speak again.
  Result<bool> judge_workers();
  // Reads what was seen of the models' instances, and adds what their workers say now.
  Result<void> look_at_engines(ClusterState& state);

  store::Store& store_;
  WorkerRegistry& workers_;
  const backends::Registry& backends_;
  const Clock& clock_;
  Onlooker onlooker_;
  std::mutex mutex_;
  std::condition_variable_any woken_;
  bool poked_ = true;
  std::jthread thread_;
};

}  // namespace berth::server
