// Who measures what a model takes: the worker that read it, or for what is on the web any that can.
#pragma once

#include "cluster/protocol.h"
#include "model/worker.h"
#include "server/context.h"
#include "server/model_files.h"

#include <optional>
#include <string_view>
#include <vector>

namespace berth::server {

// Whether a pack is installed, runs `backend` and has a judge.
bool can_judge(const model::PackStatus& status, std::string_view backend);

// A ready one of `workers` with a pack that runs `backend` and has a judge; a local one before the
// others, then by name. Pure.
std::optional<model::Worker> worker_that_judges(const std::vector<model::Worker>& workers,
                                                std::string_view backend);

// As judge_model; of a model on a hub or at an address, its headers are fetched by the worker.
model::ComputeTable judge_found(ServerContext& context, const FoundModel& found,
                                cluster::JudgeRequest request);

}  // namespace berth::server
