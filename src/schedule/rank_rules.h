// RankRules: what holds for the ranks of one request, wherever they are. Internal to schedule.
#pragma once

#include "schedule/claims.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace berth::schedule {

// One device of one worker.
struct Rank {
  const Option* option = nullptr;
  const model::DeviceView* view = nullptr;
};
using Ranks = std::vector<Rank>;

// What ranks take, and what of that is not there.
struct Fitted {
  model::Claim claim;  // devices in the order of the ranks, then the host's part on each worker
  Rejections missing;
};

// References to what outlives it. Used by one thread at a time.
class RankRules {
 public:
  RankRules(const PlacementRequest& request, const model::Serving& serving);

  [[nodiscard]] const backends::BackendDescriptor& traits() const { return traits_; }
  // How many ranks the user's flags ask for.
  [[nodiscard]] std::optional<std::uint32_t> wish() const { return wish_; }
  [[nodiscard]] bool may_be(std::size_t count) const;
  // Why devices that the user named can not be the ranks, of which `usable` may work together;
  // empty: they can.
  [[nodiscard]] std::string refuse_named(std::size_t named, std::size_t usable) const;
  // Whether the user chose the devices, and of several workers.
  [[nodiscard]] bool by_hand() const { return !request_.deployment.devices.empty(); }
  [[nodiscard]] bool is_elsewhere() const { return named_workers(request_.deployment) > 1; }

  // What a rank may take at most: of what is free, the part that is the engine's.
  [[nodiscard]] Bytes room(const Rank& rank) const;
  // That a device has less free than an instance takes whatever it needs.
  [[nodiscard]] std::optional<Rejection> taken(const Rank& rank) const;
  // Fails where the model can not be shared so.
  [[nodiscard]] tl::expected<Fitted, Rejection> fit(const Ranks& ranks,
                                                    const PackOption& pack) const;

 private:
  [[nodiscard]] Bytes usable(const Rank& rank) const;
  [[nodiscard]] bool is_given() const;
  void take_device(const Rank& rank, const std::string& on, model::DeviceClaim& own,
                   Rejections& missing) const;

  const PlacementRequest& request_;
  const model::Serving& serving_;
  const backends::BackendDescriptor& traits_;
  bool fills_;
  mutable std::pair<Bytes, Bytes> usable_;  // of the memory asked for last: devices are alike
  std::optional<std::uint32_t> wish_;
};

// The devices that may work together, those of the kind that has the emptiest, the one with the
// most room in front: if so many can share a model, then the first ones. A MIG instance stays
// alone.
[[nodiscard]] Ranks partners(const RankRules& rules, const Option& option, const PackOption& pack);

// "on box1: needs …", for devices that are taken although that is missing.
[[nodiscard]] std::vector<std::string> texts_of(const Rejections& missing);

}  // namespace berth::schedule
