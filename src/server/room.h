// Which old instance has to go where a new one finds no room beside it. Pure.
#pragma once

#include "backends/backend.h"
#include "model/cluster_view.h"
#include "model/instance.h"
#include "model/observation.h"
#include "server/replicas.h"

#include <span>
#include <vector>

namespace berth::server {

// What the question depends on.
struct RoomQuestion {
  const model::Model& model;
  const model::Observation* observed = nullptr;  // null: nothing is known
  const backends::Registry& backends;
  const model::ClusterView& view;                 // without claims of ours
  std::vector<const model::Instance*> instances;  // of all models
};

// An instance as plan_replicas() sees it.
[[nodiscard]] LiveInstance look_at(const model::ClusterView& view, const model::Instance& instance);

// Of a model with an instance that waits, marks the least useful one of another revision without
// which that would find a place. None: room is short for another reason, and ending one is no help.
void mark_room(std::span<LiveInstance> live, const RoomQuestion& question);

}  // namespace berth::server
