// plan_replicas: which of a model's instances shall end, and how many more there shall be. Pure.
#pragma once

#include "model/instance.h"

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace berth::server {

// An instance that is not ending.
struct LiveInstance {
  const model::Instance* value = nullptr;
  bool leaves = false;      // its worker is to be emptied
  bool hindered = false;    // a worker of its is silent, or takes nothing new
  bool makes_room = false;  // without it, an instance that waits would find a place
};

struct Ending {
  std::size_t index = 0;  // of the live instance
  bool at_once = false;   // else once its requests are answered
  std::string reason;
  std::string serves_fewer = {};  // why it ends before its successor serves; empty: it does not
};

struct ReplicaPlan {
  std::vector<Ending> endings;
  std::size_t missing = 0;
};

// The order in which instances are kept; what is last ends first. By, in this order: how far it is
// (given up, waiting, on its way, ready), whether its worker is hindered, whether its memory is
// overcommitted, the share of its layers that devices compute, its age (the older is kept), its
// name.
[[nodiscard]] bool is_more_useful(const LiveInstance& a, const LiveInstance& b);

// Instances of another revision are replaced one at a time, as the model's policy says; with
// `automatic` one ends for a new one that waits only where that gives it room, and as long as no
// more than one fewer than `replicas` serve. Those that leave their worker end one for each new one
// that serves or waits. `ending`: instances of other revisions that end already.
[[nodiscard]] ReplicaPlan plan_replicas(const model::Model& model,
                                        std::span<const LiveInstance> live, std::size_t ending);

}  // namespace berth::server
