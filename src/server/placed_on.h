// The workers that an instance is placed on, and what hinders them. Pure.
#pragma once

#include "model/cluster_view.h"
#include "model/instance.h"

#include <optional>
#include <string>
#include <vector>

namespace berth::server {

// The main process's first; null stands for one that was removed. Empty without a placement.
[[nodiscard]] std::vector<const model::WorkerView*> workers_of(const model::ClusterView& cluster,
                                                               const model::Instance& instance);

// The name of one that was removed; nullopt: none.
[[nodiscard]] std::optional<std::string> removed_worker(const model::ClusterView& cluster,
                                                        const model::Instance& instance);
// One that is suspected or lost; null: none.
[[nodiscard]] const model::WorkerView* silent_worker(const model::ClusterView& cluster,
                                                     const model::Instance& instance);
// One that is lost; null: none.
[[nodiscard]] const model::WorkerView* lost_worker(const model::ClusterView& cluster,
                                                   const model::Instance& instance);
// Whether one of them is to be emptied.
[[nodiscard]] bool leaves(const model::ClusterView& cluster, const model::Instance& instance);

}  // namespace berth::server
