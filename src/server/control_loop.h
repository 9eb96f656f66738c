// ControlLoop: reads what is, asks `reconcile` what should change, writes it. Can be killed at any
// instruction: the next pass goes on from what the store says.
#pragma once

#include "backends/backend.h"
#include "base/clock.h"
#include "server/worker_documents.h"
#include "server/worker_health.h"
#include "server/worker_registry.h"
#include "store/store.h"

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace berth::server {

struct ClusterState;

// Runs on a thread of its own between `start` and destruction.
class ControlLoop {
 public:
  ControlLoop(store::Store& store, WorkerRegistry& workers, const backends::Registry& backends,
              const Clock& clock, HealthPolicy health = {});
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

  // For how long instances of lost workers are not moved yet, most workers having been lost at
  // once; 0: they are moved. Thread-safe.
  [[nodiscard]] Duration mass_loss_hold() const { return Duration(hold_left_.load()); }

  // How many workers are in each state. Thread-safe.
  [[nodiscard]] std::map<model::WorkerState, std::size_t> worker_counts() const;

  // One pass; true if it wrote something. For tests; otherwise the thread calls it.
  Result<bool> run_once();

 private:
  void run(const std::stop_token& stop);
  // Marks workers that fell silent, or speak again.
  Result<bool> judge_workers();
  Result<void> note_worker(const WorkerHealth::Verdict& verdict);
  Result<void> note_hold(bool was_held);
  // Of workers that are to be empty and are by now.
  Result<void> note_drained(const std::vector<std::string>& workers);
  Result<void> tell(std::string_view kind, std::string name, store::EventLevel level,
                    std::string reason, std::string message);
  // Reads what was seen of the models' instances, and adds what their workers say now.
  Result<void> look_at_engines(ClusterState& state);

  store::Store& store_;
  WorkerRegistry& workers_;
  const backends::Registry& backends_;
  const Clock& clock_;
  Onlooker onlooker_;
  WorkerDocuments documents_;
  WorkerHealth health_;
  std::set<std::string> given_up_;  // workers, by the last look
  std::atomic<Duration::rep> hold_left_ = 0;
  std::optional<SystemTime> held_until_;
  Duration look_again_ = Duration::max();  // by the last look
  mutable std::mutex mutex_;
  std::map<model::WorkerState, std::size_t> worker_counts_;
  std::condition_variable_any woken_;
  bool poked_ = true;
  std::jthread thread_;
};

}  // namespace berth::server
