// Claims: what an instance would take with one pack of one worker, and whether that is free.
// Internal to schedule.
#pragma once

#include "schedule/filters.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string_view>
#include <tuple>
#include <vector>

namespace berth::schedule {

using Devices = std::vector<const model::DeviceView*>;
using Shares = std::vector<backends::EstimateRequest::DeviceShare>;

// A claim that does not fit: where, and by how much.
struct Shortage {
  std::size_t device = 0;  // position in the claim; the host is the last
  Bytes needed;
  Bytes available;
};

// Claims that were asked for before: on other devices of the same cluster they are the same. Used
// by one thread at a time, for one request.
struct KnownClaims {
  // Build of the pack, cores, context, slots, and the device's kind and layers of each share.
  using Key = std::tuple<std::string_view, std::uint32_t, std::uint32_t, std::uint32_t,
                         std::vector<std::pair<std::string, std::uint32_t>>>;
  std::map<Key, Result<model::Claim>> claims;
};

// Everything about one pack of one worker that the ways to lay a model out share. References to
// what outlives it.
class Claims {
 public:
  Claims(const PlacementRequest& request, const Option& option, const PackOption& pack,
         const model::Serving& serving);

  // What the shares take: the estimate, what earlier instances took, or what the user vouches for.
  [[nodiscard]] Result<model::Claim> claim(const Shares& shares) const;

  // The first device that is too small. Devices that share the CPU's memory count with the host,
  // which is asked last, or not at all.
  [[nodiscard]] std::optional<Shortage> shortage(const model::Claim& claim, const Devices& devices,
                                                 bool with_host = true) const;

  [[nodiscard]] std::uint32_t layers() const { return request_.backend.layers(request_.profile); }

 private:
  [[nodiscard]] Result<model::Claim> estimate(const Shares& shares) const;

  const PlacementRequest& request_;
  const Option& option_;
  model::Serving serving_;
  std::string_view build_;  // of the pack's engine
  const model::ComputeTable* compute_ = nullptr;
};

// What the claim has of main memory; 0 where it says nothing of it.
[[nodiscard]] Bytes host_part(const model::Claim& claim);

}  // namespace berth::schedule
