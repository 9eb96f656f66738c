#include "schedule/ranks.h"

#include "schedule/rank_rules.h"

#include <algorithm>

namespace berth::schedule {
namespace {

// The ways on one worker.
class OneWorker {
 public:
  OneWorker(const RankRules& rules, const Option& option, const PackOption& pack,
            const model::Serving& serving, Rejections& rejections)
      : rules_(rules), option_(option), pack_(pack), serving_(serving), rejections_(rejections) {}

  // Spread takes the emptiest device, binpack the fullest that holds it.
  std::optional<Layout> one_device(model::PlacementPolicy policy) {
    if (!rules_.may_be(1) || is_elsewhere() || (rules_.by_hand() && pack_.devices.size() != 1))
      return std::nullopt;
    auto order = pack_.devices;
    if (policy == model::PlacementPolicy::binpack) std::ranges::reverse(order);
    Rejections nearest;
    for (const auto* view : order) {
      auto fitted = rules_.fit({{&option_, view}}, pack_);
      if (!fitted) {
        rejections_.push_back(std::move(fitted).error());
        return std::nullopt;
      }
      if (fitted->missing.empty() || rules_.by_hand()) return laid(*std::move(fitted));
      const bool is_nearer =
          nearest.empty() || fitted->missing.front().available > nearest.front().available;
      if (is_nearer) nearest = std::move(fitted->missing);
    }
    rejections_.insert(rejections_.end(), nearest.begin(), nearest.end());
    return std::nullopt;
  }

  std::optional<Layout> several_devices() {
    if (is_elsewhere()) return std::nullopt;
    const Ranks all = partners(rules_, option_, pack_);
    if (rules_.by_hand()) return pack_.devices.size() > 1 ? take_named(all) : std::nullopt;
    if (rules_.wish() && *rules_.wish() > all.size()) {
      reject_layout(fmt::format("{} devices are asked for, and it has {} that can work together",
                                *rules_.wish(), all.size()));
      return std::nullopt;
    }
    Ranks roomy;
    std::optional<Rejection> full;
    for (const auto& rank : all) {
      if (auto why = rules_.taken(rank))
        full = full ? full : why;
      else
        roomy.push_back(rank);
    }
    Rejections last;
    for (std::size_t count = 2; count <= roomy.size(); ++count) {
      if (!rules_.may_be(count)) continue;
      const Ranks ranks(roomy.begin(), roomy.begin() + static_cast<std::ptrdiff_t>(count));
      auto fitted = rules_.fit(ranks, pack_);
      if (fitted && fitted->missing.empty()) return laid(*std::move(fitted));
      last = fitted ? std::move(fitted->missing) : Rejections{std::move(fitted).error()};
    }
    if (!last.empty()) rejections_.push_back(last.front());
    if (full && all.size() > 1) rejections_.push_back(*std::move(full));
    return std::nullopt;
  }

 private:
  // The user named devices of other workers too.
  [[nodiscard]] bool is_elsewhere() const { return rules_.is_elsewhere(); }

  void reject_layout(std::string why) {
    rejections_.push_back({.code = RejectionCode::no_layout,
                           .worker = option_.worker->name,
                           .detail = std::move(why)});
  }

  // All of them, whether they have room or not.
  std::optional<Layout> take_named(const Ranks& ranks) {
    if (auto why = rules_.refuse_named(pack_.devices.size(), ranks.size()); !why.empty()) {
      reject_layout(std::move(why));
      return std::nullopt;
    }
    auto fitted = rules_.fit(ranks, pack_);
    if (fitted) return laid(*std::move(fitted));
    rejections_.push_back(std::move(fitted).error());
    return std::nullopt;
  }

  Layout laid(Fitted fitted) {
    return {.claim = std::move(fitted.claim),
            .serving = serving_,
            .pack = pack_.status->pack.name,
            .overcommitted = texts_of(fitted.missing)};
  }

  const RankRules& rules_;
  const Option& option_;
  const PackOption& pack_;
  const model::Serving& serving_;
  Rejections& rejections_;
};

}  // namespace

std::optional<Layout> lay_out_ranks(const PlacementRequest& request, const Option& option,
                                    const PackOption& pack, const model::Serving& serving,
                                    Stage stage, Rejections& rejections) {
  const RankRules rules(request, serving);
  OneWorker worker(rules, option, pack, serving, rejections);
  if (stage == Stage::one_device) return worker.one_device(request.deployment.placement);
  if (stage == Stage::several_devices) return worker.several_devices();
  return std::nullopt;
}

}  // namespace berth::schedule
