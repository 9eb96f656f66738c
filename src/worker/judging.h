// What a model takes on this worker's engines, measured by the judge of a pack.
#pragma once

#include "backends/backend.h"
#include "cluster/protocol.h"
#include "engines/judge.h"
#include "model/worker.h"

#include <stop_token>

namespace berth::worker {

// The first of `packs` that runs `backend`, is installed and has a judge; null where none does.
const model::PackStatus* find_judge(const std::vector<model::PackStatus>& packs,
                                    std::string_view backend);

// Asks for each layout whose buffers the backend wants to know, with the very flags that the engine
// would get. Blocks, about a second for each. Fails as Judge::ask, or as the backend does.
Result<model::ComputeTable> judge_model(engines::Judge& judge, const backends::Registry& backends,
                                        const model::PackStatus& pack, const model::Worker& worker,
                                        const cluster::JudgeRequest& request, Duration timeout,
                                        const std::stop_token& stop);

}  // namespace berth::worker
