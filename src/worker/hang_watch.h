// HangWatch: looks at an engine that serves, again and again, and says when it hangs.
#pragma once

#include "base/clock.h"
#include "model/launch_plan.h"
#include "net/task.h"
#include "net/thread_pool.h"
#include "worker/liveness.h"
#include "worker/trial.h"

#include <optional>
#include <string>
#include <sys/types.h>

namespace berth::worker {

struct WatchedEngine {
  model::LivenessProbe probe;
  std::string key;
  std::optional<pid_t> process;  // its main one, by which the use of processors is known
};

// Used by one task on `executor`; `clock` and `pool` outlive it.
class HangWatch {
 public:
  // Of an engine that has just answered.
  HangWatch(net::Executor executor, const Clock& clock, net::ThreadPool& pool,
            WatchedEngine engine);

  // How long to wait between two looks.
  [[nodiscard]] Duration every() const { return liveness_.policy().every; }
  // One look: asks the engine, and may have it prove itself. Takes up to a minute. Returns what
  // shows that it hangs, empty as long as it does not; fails only where it is cancelled.
  net::Task<Result<std::string>> look();

 private:
  net::Task<std::optional<std::string>> ask();
  net::Task<bool> proves_itself(WorkFigures before);
  net::Task<Result<std::string>> miss(std::string_view what);
  [[nodiscard]] std::optional<WorkFigures> figures_in(std::string_view text) const;

  net::Executor executor_;
  const Clock& clock_;
  net::ThreadPool& pool_;
  WatchedEngine engine_;
  Liveness liveness_;
  Trial trial_;
};

}  // namespace berth::worker
