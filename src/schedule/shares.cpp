#include "schedule/shares.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace berth::schedule {

Shares proportional(const Devices& devices, const std::vector<double>& parts,
                    std::uint32_t layers) {
  const double sum = std::accumulate(parts.begin(), parts.end(), 0.0);
  Shares shares;
  std::uint32_t given = 0;
  double reached = 0;
  for (std::size_t i = 0; i < devices.size(); ++i) {
    reached += parts[i];
    const auto until = i + 1 == devices.size() || sum <= 0
                           ? layers
                           : static_cast<std::uint32_t>(std::lround(layers * (reached / sum)));
    const auto count = std::max(until, given) - given;
    given += count;
    shares.push_back({devices[i]->device.id, count});
  }
  return shares;
}

std::vector<double> free_parts(const Devices& devices) {
  std::vector<double> parts;
  for (const auto* view : devices) parts.push_back(static_cast<double>(view->free().count));
  return parts;
}

tl::expected<model::Claim, Shortage> balance(const Claims& claims, const Devices& devices,
                                             Shares shares, bool may_move,
                                             const FindShortage& find_shortage) {
  std::optional<Shortage> short_of;
  for (std::uint32_t moves = 0; moves <= claims.layers(); ++moves) {
    auto claim = claims.claim(shares);
    if (!claim) return tl::unexpected(Shortage{devices.size(), {}, {}});
    short_of = find_shortage(*claim);
    const bool each_has_some = std::all_of(shares.begin(), shares.end(),
                                           [](const auto& share) { return share.layers != 0; });
    if (!short_of && each_has_some) return *std::move(claim);
    if (!may_move) break;
    // From the one that is too small, or from the fullest where one has nothing.
    std::size_t from = short_of ? short_of->device : 0;
    std::size_t to = devices.size();
    Bytes most;
    for (std::size_t i = 0; i < devices.size(); ++i) {
      if (!short_of && shares[i].layers > shares[from].layers) from = i;
      const Bytes left = devices[i]->free() - claim->devices[i].total();
      if (shares[i].layers == 0 && !short_of) {
        to = i;
        break;
      }
      if (i != from && left > most) {
        most = left;
        to = i;
      }
    }
    if (from >= devices.size() || to >= devices.size() || shares[from].layers <= 1) break;
    --shares[from].layers;
    ++shares[to].layers;
  }
  return tl::unexpected(short_of.value_or(Shortage{devices.size(), {}, {}}));
}

}  // namespace berth::schedule
