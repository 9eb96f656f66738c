#include "schedule/span.h"

#include "schedule/rank_rules.h"
#include "schedule/span_layers.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace berth::schedule {
namespace {

using model::Distributed;

// What a worker could give to an instance over several.
struct Part {
  const Option* option = nullptr;
  const PackOption* pack = nullptr;
  Ranks ranks;
};

class SeveralWorkers {
 public:
  SeveralWorkers(const RankRules& rules, const PlacementRequest& request,
                 const std::vector<Option>& options, const model::Serving& serving,
                 Rejections& rejections)
      : rules_(rules), request_(request), serving_(serving), rejections_(rejections) {
    for (const auto& option : options) add_part(option);
  }

  std::optional<Span> named() {
    if (parts_.size() < 2 || parts_.size() != named_workers(request_.deployment))
      return std::nullopt;
    std::size_t all = 0;
    std::size_t usable = 0;
    for (const auto& part : parts_) {
      all += part.pack->devices.size();
      usable += part.ranks.size();
    }
    if (auto why = rules_.refuse_named(all, usable); !why.empty()) {
      rejections_.push_back({.code = RejectionCode::no_layout, .detail = std::move(why)});
      return std::nullopt;
    }
    // In the order in which the user named them.
    std::ranges::sort(parts_, {}, [&](const Part& part) { return first_named(part); });
    std::vector<std::string> warnings;
    for (const auto& part : parts_) {
      if (part.ranks.size() == parts_.front().ranks.size()) continue;
      warnings.push_back(
          fmt::format("{} has {} of the devices and {} has {}", parts_.front().option->worker->name,
                      parts_.front().ranks.size(), part.option->worker->name, part.ranks.size()));
    }
    return over(parts_, std::move(warnings));
  }

  // Of each kind of worker (pack and number of devices) as few as can; of those ways the one with
  // the fewest devices.
  std::optional<Span> chosen() {
    std::map<std::tuple<std::string_view, std::size_t>, std::vector<Part>> kinds;
    for (const auto& part : parts_) {
      if (!has_room(part)) continue;
      kinds[{part.pack->status->pack.name, part.ranks.size()}].push_back(part);
    }
    std::optional<Span> best;
    std::size_t fewest = 0;
    for (auto& [kind, parts] : kinds) {
      std::ranges::sort(parts, [this](const Part& a, const Part& b) {
        return std::tuple(weakest(b), a.option->worker->name) <
               std::tuple(weakest(a), b.option->worker->name);
      });
      const std::size_t each = std::get<1>(kind);
      for (std::size_t count = 2; count <= parts.size(); ++count) {
        if (best && count * each >= fewest) break;
        if (!rules_.may_be(count * each)) continue;
        auto found = over({parts.begin(), parts.begin() + static_cast<std::ptrdiff_t>(count)}, {});
        if (!found) {
          drop_small_host(parts, count);
          continue;
        }
        best = std::move(found);
        fewest = count * each;
        break;
      }
    }
    return best;
  }

 private:
  void reject(const Option& option, std::string why) {
    rejections_.push_back({.code = RejectionCode::no_layout,
                           .worker = option.worker->name,
                           .detail = std::move(why)});
  }

  void add_part(const Option& option) {
    const auto pack = std::ranges::find_if(
        option.packs, [](const PackOption& one) { return !one.devices.empty(); });
    if (pack == option.packs.end()) return;
    const auto& traits = rules_.traits();
    if (option.worker->spanned_by.contains(std::string(traits.name))) {
      return reject(option, "already has a part of an instance over several workers");
    }
    Part part{.option = &option, .pack = &*pack, .ranks = partners(rules_, option, *pack)};
    const auto mute = std::ranges::find_if(
        part.ranks, [](const Rank& rank) { return rank.view->device.network_address.empty(); });
    if (traits.needs_addresses && mute != part.ranks.end()) {
      return reject(option,
                    fmt::format("{} has no network address of its own", mute->view->device.id));
    }
    if (!part.ranks.empty()) parts_.push_back(std::move(part));
  }

  // Of a worker whose every device has as much, the same can be said as of this one's weakest.
  [[nodiscard]] Bytes weakest(const Part& part) const { return rules_.room(part.ranks.back()); }

  // Where only the main memory of a worker was too small, the others are tried without it.
  void drop_small_host(std::vector<Part>& parts, std::size_t& count) const {
    const Rejection& last = rejections_.back();
    if (last.code != RejectionCode::host_memory) return;
    std::erase_if(parts,
                  [&](const Part& part) { return part.option->worker->name == last.worker; });
    --count;
  }

  bool has_room(const Part& part) {
    for (const auto& rank : part.ranks) {
      if (auto why = rules_.taken(rank)) {
        rejections_.push_back(*std::move(why));
        return false;
      }
    }
    return true;
  }

  [[nodiscard]] std::ptrdiff_t first_named(const Part& part) const {
    const auto& named = request_.deployment.devices;
    return std::ranges::find_if(named,
                                [&](const std::string& device) {
                                  return device.starts_with(part.option->worker->name + ":");
                                }) -
           named.begin();
  }

  // `warnings`: what speaks against it, where the user named the devices.
  std::optional<Span> over(const std::vector<Part>& parts, std::vector<std::string> warnings) {
    Ranks ranks;
    for (const auto& part : parts) {
      ranks.insert(ranks.end(), part.ranks.begin(), part.ranks.end());
      const auto& pack = part.pack->status->pack.name;
      if (pack == parts.front().pack->status->pack.name) continue;
      reject(*part.option,
             fmt::format("would use {}, and {} {}", pack, parts.front().option->worker->name,
                         parts.front().pack->status->pack.name));
      return std::nullopt;
    }
    auto fitted = rules_.fit(ranks, *parts.front().pack);
    if (!fitted) {
      rejections_.push_back(std::move(fitted).error());
      return std::nullopt;
    }
    if (!fitted->missing.empty() && !rules_.by_hand()) {
      rejections_.push_back(fitted->missing.front());
      return std::nullopt;
    }
    for (auto& text : texts_of(fitted->missing)) warnings.push_back(std::move(text));
    return split(parts, std::move(fitted->claim), std::move(warnings));
  }

  // The claim of all ranks, worker by worker; each has the same part of its host.
  Span split(const std::vector<Part>& parts, model::Claim claim,
             std::vector<std::string> warnings) const {
    std::optional<model::DeviceClaim> host;
    if (host_part(claim).count != 0) {
      host = claim.devices.back();
      claim.devices.pop_back();
    }
    Span span{.main = parts.front().option,
              .layout = {.claim = {.method = claim.method, .devices = {}, .layers = std::nullopt},
                         .serving = serving_,
                         .pack = parts.front().pack->status->pack.name,
                         .overcommitted = std::move(warnings)},
              .subordinates = {}};
    auto next = claim.devices.begin();
    for (const auto& part : parts) {
      const auto end = next + static_cast<std::ptrdiff_t>(part.ranks.size());
      std::vector<model::DeviceClaim> devices(next, end);
      if (host) devices.push_back(*host);
      next = end;
      if (&part == &parts.front())
        span.layout.claim.devices = std::move(devices);
      else
        span.subordinates.push_back({.worker = part.option->worker->name, .devices = devices});
    }
    return span;
  }

  const RankRules& rules_;
  const PlacementRequest& request_;
  const model::Serving& serving_;
  Rejections& rejections_;
  std::vector<Part> parts_;
};

// The setting in force: the user's, else the backend's; who names devices of several workers wants
// them.
bool may_span(const PlacementRequest& request) {
  const bool is_usual =
      request.backend.descriptor().spans_by_itself || named_workers(request.deployment) > 1;
  const auto usual = is_usual ? Distributed::allow : Distributed::never;
  return request.deployment.distributed.value_or(usual) == Distributed::allow;
}

}  // namespace

std::optional<Span> span_workers(const PlacementRequest& request,
                                 const std::vector<Option>& options, const model::Serving& serving,
                                 Rejections& rejections) {
  const auto& traits = request.backend.descriptor();
  if (!traits.several_workers || !may_span(request)) return std::nullopt;
  if (traits.division == backends::Division::layers) {
    return span_layers(request, options, serving, rejections);
  }
  const RankRules rules(request, serving);
  SeveralWorkers workers(rules, request, options, serving, rejections);
  return rules.by_hand() ? workers.named() : workers.chosen();
}

}  // namespace berth::schedule
