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
  bool leaves = false;  // its worker is to be emptied
};

struct Ending {
  std::size_t index = 0;  // of the live instance
  bool at_once = false;   // else once its requests are answered
  std::string reason;
};

struct ReplicaPlan {
  std::vector<Ending> endings;
  std::size_t missing = 0;
};

// Instances of an earlier generation, and those that leave their worker, end one for each new one
// that serves. Where there is no room for both, the old one ends for the new one that waits: of an
// edit, as the model's policy says; of those that leave, always.
[[nodiscard]] ReplicaPlan plan_replicas(const model::Model& model,
                                        std::span<const LiveInstance> live);

}  // namespace berth::server
