// What a model takes on this worker's engines, measured by the judge of a pack.
#pragma once

#include "backends/backend.h"
#include "cluster/protocol.h"
#include "engines/judge.h"
#include "model/worker.h"
#include "worker/absent_model.h"

#include <stop_token>

namespace berth::worker {

// The first of `packs` that runs `backend`, is installed and has a judge; null where none does.
const model::PackStatus* find_judge(const std::vector<model::PackStatus>& packs,
                                    std::string_view backend);

// With what a model is judged.
struct Scales {
  engines::Judge& judge;
  const backends::Registry& backends;
  const model::PackStatus& pack;
  const model::Worker& worker;
  Duration timeout;  // of each question
  std::stop_token stop;
};

// Asks for each layout whose buffers the backend wants to know, with the very flags that the engine
// would get. Blocks, about a second for each. Fails as Judge::ask, or as the backend does.
Result<model::ComputeTable> judge_model(const Scales& scales, const cluster::JudgeRequest& request);

// The same for a model that is not here; its headers are fetched where the answer is not known.
// Fails as AbsentModel too.
Result<model::ComputeTable> judge_absent(const Scales& scales, AbsentModel& model);

}  // namespace berth::worker
