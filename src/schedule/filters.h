// The named rules that say which workers, packs and devices a request may use. Pure.
#pragma once

#include "schedule/place.h"

#include <string>
#include <vector>

namespace berth::schedule {

// A pack that may run the instance, with the devices that it can use.
struct PackOption {
  const model::PackStatus* status = nullptr;
  std::vector<const model::DeviceView*> devices;  // without the CPU, the most free memory first
};

struct KnownClaims;

// A worker that passed the filters.
struct Option {
  const model::WorkerView* worker = nullptr;
  const model::DeviceView* host = nullptr;
  std::vector<PackOption> packs;  // the best first
  bool cpu_allowed = true;        // false where devices were named and the CPU is not among them
  std::vector<std::string> unusable;  // devices that no pack can use, with their names
  KnownClaims* known = nullptr;       // see claims.h; null: nothing is kept
};

// Where `worker` passes, returns true and fills `option`; else adds one rejection or more.
bool filter(const PlacementRequest& request, const model::WorkerView& worker, Option& option,
            Rejections& rejections);

// On how many workers the user chose the devices; 0: Berth chooses.
std::size_t named_workers(const model::Deployment& deployment);

// The cpu_offload in force: the user's, else "allow" where the backend can do it.
model::CpuOffload cpu_offload_of(const PlacementRequest& request);

}  // namespace berth::schedule
