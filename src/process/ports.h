// PortLeases: loopback TCP ports for engines, chosen outside the kernel's ephemeral range so that
// no outgoing connection takes one between our look and the engine's bind.
#pragma once

#include "base/result.h"

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace berth::process {

struct PortRange {
  std::uint16_t first = 20000;
  std::uint16_t last = 29999;  // inclusive
  friend bool operator==(const PortRange&, const PortRange&) = default;
};

// The largest part of `wanted` that is outside `ephemeral`; if there is none, the larger of the
// ranges below and above `ephemeral` (1024 to 65535); if there is none either, `wanted`. Pure.
PortRange outside_of(PortRange wanted, PortRange ephemeral);

// The range that the kernel takes ports for outgoing connections from.
PortRange ephemeral_range();

// Thread-safe. Leases live in memory: after a restart call `hold` for the ports of adopted engines.
class PortLeases {
 public:
  explicit PortLeases(PortRange range = outside_of({}, ephemeral_range()),
                      std::string address = "127.0.0.1");

  // A port that nobody listens on (checked by binding it). Goes round the range, so that a released
  // port comes back late. Fails with resource_exhausted.
  Result<std::uint16_t> lease();
  // `count` ports, or none.
  Result<std::vector<std::uint16_t>> lease(std::size_t count);
  // Marks a port as leased, in use or not. Fails with conflict if it is leased already.
  Result<void> hold(std::uint16_t port);
  // Gives a port back; unknown ones are ignored.
  void release(std::uint16_t port);

  [[nodiscard]] std::size_t leased() const;
  [[nodiscard]] PortRange range() const { return range_; }

 private:
  Result<std::uint16_t> lease_locked();

  const PortRange range_;
  const std::string address_;
  mutable std::mutex mutex_;
  std::set<std::uint16_t> leased_;
  std::uint16_t next_;
};

}  // namespace berth::process
