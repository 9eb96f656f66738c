// Claim and Placement: what an instance takes, and where it goes.
#pragma once

#include "base/describe.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace berth::model {

// Where a claim's figures come from.
enum class ClaimMethod {
  computed,  // from the tensor table and a fitted upper bound
  judged,    // measured by the engine's own allocator
  observed,  // what an earlier instance took
  given,     // by the user
};
BOOST_DESCRIBE_ENUM(ClaimMethod, computed, judged, observed, given)

// The memory that one instance takes on one device.
struct DeviceClaim {
  std::string device;  // "cpu", "cuda:0"
  Bytes weights;
  Bytes kv_cache;
  Bytes compute;
  Bytes runtime;  // the engine's own code and contexts

  [[nodiscard]] Bytes total() const { return weights + kv_cache + compute + runtime; }
};
BOOST_DESCRIBE_STRUCT(DeviceClaim, (), (device, weights, kv_cache, compute, runtime))

// How many of a model's layers run on devices (the output layer counts as one more).
struct LayerSplit {
  std::uint32_t on_devices = 0;
  std::uint32_t total = 0;
  std::vector<std::uint32_t>
      per_device;  // in the engine's order: the subordinates' first; without the host
};
BOOST_DESCRIBE_STRUCT(LayerSplit, (), (on_devices, total, per_device))

// The whole claim of one way to run a model.
struct Claim {
  ClaimMethod method = ClaimMethod::computed;
  std::vector<DeviceClaim> devices;  // in the order that the engine will see them; host last
  std::optional<LayerSplit> layers;
};
BOOST_DESCRIBE_STRUCT(Claim, (), (method, devices, layers))

// A part of an instance on another worker.
struct SubordinatePlacement {
  std::string worker;
  std::vector<DeviceClaim> devices;
};
BOOST_DESCRIBE_STRUCT(SubordinatePlacement, (), (worker, devices))

// Placement of one instance: the devices it got and the claim on each. A value; compare and print
// freely.
struct Placement {
  std::string worker;  // where the main process runs
  Claim claim;
  std::vector<SubordinatePlacement> subordinates;  // empty for one worker
  std::string pack;                                // the engine pack that will run it
  bool overcommit = false;  // the user chose devices that an estimate calls too small

  // Each once, the main process's first.
  [[nodiscard]] std::vector<std::string> workers() const {
    std::vector<std::string> names{worker};
    for (const auto& part : subordinates) {
      if (std::find(names.begin(), names.end(), part.worker) == names.end()) {
        names.push_back(part.worker);
      }
    }
    return names;
  }
};
BOOST_DESCRIBE_STRUCT(Placement, (), (worker, claim, subordinates, pack, overcommit))

// What the engine is told to serve.
struct Serving {
  std::uint32_t context = 0;  // tokens per request
  std::uint32_t slots = 1;    // requests at the same time
};
BOOST_DESCRIBE_STRUCT(Serving, (), (context, slots))
inline constexpr FieldInfo kServingFields[] = {
    {.name = "context", .text = "longest request, prompt and answer together", .unit = "tokens"},
    {.name = "slots", .text = "requests that run at the same time"},
};
constexpr std::span<const FieldInfo> field_table(const Serving*) { return kServingFields; }

}  // namespace berth::model
