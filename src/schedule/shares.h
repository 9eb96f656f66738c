// Shares: how many layers each of several devices has. Internal to schedule.
#pragma once

#include "schedule/claims.h"

#include <cstdint>
#include <functional>
#include <vector>

namespace berth::schedule {

// `layers` in the proportions `parts`, one for each device: earlier devices first at ties.
[[nodiscard]] Shares proportional(const Devices& devices, const std::vector<double>& parts,
                                  std::uint32_t layers);

// The devices' free memory, as proportions.
[[nodiscard]] std::vector<double> free_parts(const Devices& devices);

// What is too small for a claim; absent: it fits.
using FindShortage = std::function<std::optional<Shortage>(const model::Claim&)>;

// The claim of layers over several devices: those of `shares`, or where `may_move`, as they become
// by moving them from the first device that is too small to the one with the most room left, until
// they fit. Fails with the last shortage; one past the devices that needs nothing is an estimate
// that failed.
[[nodiscard]] tl::expected<model::Claim, Shortage> balance(const Claims& claims,
                                                           const Devices& devices, Shares shares,
                                                           bool may_move,
                                                           const FindShortage& find_shortage);

}  // namespace berth::schedule
