// What the agent asks a running engine over HTTP: whether it serves, whether it still works, how
// many requests it has.
#pragma once

#include "base/clock.h"
#include "model/launch_plan.h"
#include "net/task.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace berth::worker {

// Whether the engine says that it serves. False after 2 s without an answer.
net::Task<Result<bool>> ask_health(net::Executor executor, model::HealthProbe probe);

// The answer to a liveness probe, whatever its status.
struct LivenessAnswer {
  int status = 0;
  std::string body;
};
// Fails with unavailable or timeout where the engine gave no whole answer within `patience`.
net::Task<Result<LivenessAnswer>> ask_liveness(net::Executor executor, model::LivenessProbe probe,
                                               std::string key, Duration patience);

// Sends the small real request of `probe`; any answer will do. Fails as `ask_liveness`.
net::Task<Result<LivenessAnswer>> send_trial(net::Executor executor, model::LivenessProbe probe,
                                             std::string key, Duration patience);

// The sum of the figures called `names` in `text` (Prometheus' text format, without labels);
// nothing where one of them is missing. Pure.
std::optional<double> sum_of_figures(std::string_view text, const std::vector<std::string>& names);

}  // namespace berth::worker
