// A worker as placement sees it, from its document and what it said last.
#pragma once

#include "model/cluster_view.h"
#include "model/instance.h"
#include "server/worker_registry.h"

#include <vector>

namespace berth::server {

// With what is used, by anyone and by our instances; without claims.
model::WorkerView worker_view(const model::Worker& worker, const WorkerRegistry& registry);

// All workers, with the claims of the instances that hold any.
model::ClusterView claimed_cluster(const std::vector<model::Worker>& workers,
                                   const std::vector<model::Instance>& instances,
                                   const WorkerRegistry& registry);

// Memory belongs to an instance from its placement until its worker says that it is gone.
bool holds_claims(const model::Instance& instance);

}  // namespace berth::server
