// LeasedPorts: the ports that one member of an instance holds; given back when it goes.
#pragma once

#include "process/ports.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace berth::worker {

// Used by one task. The leases outlive it.
class LeasedPorts {
 public:
  explicit LeasedPorts(process::PortLeases& leases) : leases_(leases) {}
  ~LeasedPorts() { release(); }
  LeasedPorts(const LeasedPorts&) = delete;
  LeasedPorts& operator=(const LeasedPorts&) = delete;

  // Other ones than before: a program that took one before the engine could may keep it. Fails with
  // resource_exhausted; then it holds none.
  Result<void> lease(std::size_t count) {
    release();
    BERTH_TRY(ports_, leases_.lease(count));
    return {};
  }
  // Those that an engine which was found running has. False: somebody else has one of them.
  bool hold(const std::vector<std::uint16_t>& ports) {
    release();
    for (const auto port : ports) {
      if (leases_.hold(port)) ports_.push_back(port);
    }
    return ports_.size() == ports.size();
  }
  void release() {
    for (const auto port : ports_) leases_.release(port);
    ports_.clear();
  }
  [[nodiscard]] const std::vector<std::uint16_t>& all() const { return ports_; }

 private:
  process::PortLeases& leases_;
  std::vector<std::uint16_t> ports_;
};

}  // namespace berth::worker
