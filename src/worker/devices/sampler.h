// Sampler: looks at the devices of each vendor every few seconds, on threads of its own, and keeps
// what they said last.
#pragma once

#include "base/clock.h"
#include "worker/devices/vendor.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace berth::worker::devices {

struct SamplerOptions {
  Duration every = std::chrono::seconds(5);
  // A look that takes longer hangs: until it ends, what is used of these devices is not known.
  Duration patience = std::chrono::seconds(15);
  // How long the destructor waits for looks under way. One that hangs is left to itself.
  Duration end = std::chrono::milliseconds(500);
};

// What is known now. A vendor that fails or hangs after it has told of its devices leaves them
// there, no more `measured`, with a warning.
struct Snapshot {
  Sample sample;
  // Vendors without their library or tool, which matters where the machine has their devices.
  std::map<model::DeviceKind, std::string> missing;
  // When the oldest look of these began; of a vendor that fails or hangs, its last good one.
  SteadyTime began = SteadyTime::max();
};

// One thread a vendor, so that none waits for another one and no two looks at the same devices
// happen at a time. A thread that hangs in a driver holds nothing but its own vendor. Thread-safe.
class Sampler {
 public:
  explicit Sampler(std::vector<std::unique_ptr<Vendor>> vendors, SamplerOptions options = {});
  ~Sampler();
  Sampler(const Sampler&) = delete;
  Sampler& operator=(const Sampler&) = delete;

  // Blocks until every vendor was looked at once, at most `limit`.
  void wait_for_first(Duration limit) const;
  [[nodiscard]] Snapshot latest() const;
  // Looks at devices that are there without the usual pause, once what is under way has ended.
  void look_soon();

 private:
  struct Watch;
  SamplerOptions options_;
  std::vector<std::shared_ptr<Watch>> watches_;
};

}  // namespace berth::worker::devices
