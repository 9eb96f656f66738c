#include "schedule/rank_rules.h"

#include <algorithm>
#include <bit>
#include <map>

namespace berth::schedule {
namespace {

// "on 8 devices of several workers"; empty for one device.
std::string extent(const Ranks& ranks) {
  if (ranks.size() == 1) return "";
  const auto* first = ranks.front().option;
  const bool is_one_worker =
      std::ranges::all_of(ranks, [&](const Rank& rank) { return rank.option == first; });
  return fmt::format("on {} devices{}", ranks.size(), is_one_worker ? "" : " of several workers");
}

Rejection unshared(const Option& main, const Error& error) {
  const bool is_wrong = error.code == ErrorCode::invalid_parameter;
  return {.code = is_wrong ? RejectionCode::no_layout : RejectionCode::no_estimate,
          .worker = main.worker->name,
          .detail = error.message};
}

Rejection about(const Rank& rank, RejectionCode code, Bytes needed, Bytes available,
                std::string detail = "") {
  return {.code = code,
          .worker = rank.option->worker->name,
          .device = rank.view->device.id,
          .needed = needed,
          .available = available,
          .fitting_context = std::nullopt,
          .detail = std::move(detail)};
}

// Each worker takes as much of its own memory.
void take_hosts(const Ranks& ranks, Fitted& fitted) {
  struct Host {
    const Option* option = nullptr;
    Bytes needed;
  };
  std::map<std::string_view, Host> hosts;  // by worker
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    const auto [host, is_new] = hosts.try_emplace(ranks[i].option->worker->name);
    if (is_new) host->second = {ranks[i].option, host_part(fitted.claim)};
    if (ranks[i].view->device.unified) host->second.needed += fitted.claim.devices[i].total();
  }
  for (const auto& [name, host] : hosts) {
    const Bytes available = host.option->host->free();
    if (host.needed <= available) continue;
    fitted.missing.push_back({.code = RejectionCode::host_memory,
                              .worker = std::string(name),
                              .device = host.option->host->device.id,
                              .needed = host.needed,
                              .available = available});
  }
}

}  // namespace

RankRules::RankRules(const PlacementRequest& request, const model::Serving& serving)
    : request_(request),
      serving_(serving),
      traits_(request.backend.descriptor()),
      fills_(request.backend.fills_devices(request.profile, request.parameters)),
      wish_(request.backend.device_wish(request.parameters).ranks) {}

bool RankRules::may_be(std::size_t count) const {
  if (wish_) return count == *wish_;
  return !traits_.powers_of_two || std::has_single_bit(count);
}

std::string RankRules::refuse_named(std::size_t named, std::size_t usable) const {
  if (usable != named) {
    return fmt::format(
        "{} of the {} devices that were named can work together: of one kind, and no "
        "MIG instances",
        usable, named);
  }
  if (may_be(named)) return "";
  if (wish_) return fmt::format("{} devices were named, and the flags ask for {}", named, *wish_);
  return fmt::format("{} devices were named, and {} works on 1, 2, 4, 8 …", named, traits_.name);
}

Bytes RankRules::usable(const Rank& rank) const {
  const Bytes memory = rank.view->device.memory;
  if (usable_.first != memory) {
    usable_ = {memory, request_.backend.usable(request_.parameters, memory)};
  }
  return usable_.second;
}

bool RankRules::is_given() const {
  return request_.deployment.claim && request_.deployment.claim->vram;
}

std::optional<Rejection> RankRules::taken(const Rank& rank) const {
  if (!fills_ || is_given()) return std::nullopt;
  const Bytes part = usable(rank);
  const Bytes free = rank.view->free();
  if (part <= free) return std::nullopt;
  return about(rank, RejectionCode::device_taken, part, free, std::string(traits_.sharing));
}

tl::expected<Fitted, Rejection> RankRules::fit(const Ranks& ranks, const PackOption& pack) const {
  Shares shares;
  for (const auto& rank : ranks) shares.push_back({rank.view->device.id, 0});
  const Option& main = *ranks.front().option;
  auto claim = Claims(request_, main, pack, serving_).claim(shares);
  if (!claim) return tl::unexpected(unshared(main, claim.error()));
  Fitted fitted{.claim = *std::move(claim), .missing = {}};
  const std::string on = extent(ranks);
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    take_device(ranks[i], on, fitted.claim.devices[i], fitted.missing);
  }
  take_hosts(ranks, fitted);
  return fitted;
}

void RankRules::take_device(const Rank& rank, const std::string& on, model::DeviceClaim& own,
                            Rejections& missing) const {
  const Bytes part = usable(rank);
  if (!is_given() && own.total() > part) {
    missing.push_back(about(rank, RejectionCode::rank_memory, own.total(), part, on));
    return;
  }
  if (auto why = taken(rank)) missing.push_back(*std::move(why));
  if (fills_ && !is_given()) {
    own.kv_cache += part - own.total();  // for more requests at once
  } else if (own.total() > rank.view->free()) {
    missing.push_back(
        about(rank, RejectionCode::device_memory, own.total(), rank.view->free(), on));
  }
}

Bytes RankRules::room(const Rank& rank) const {
  return is_given() ? rank.view->free() : std::min(rank.view->free(), usable(rank));
}

Ranks partners(const RankRules& rules, const Option& option, const PackOption& pack) {
  std::vector<std::pair<Bytes, Rank>> sorted;  // by their room
  for (const auto* view : pack.devices) {
    const bool may =
        view->device.part_of.empty() &&
        (sorted.empty() || view->device.kind == sorted.front().second.view->device.kind);
    const Rank rank{&option, view};
    if (may) sorted.emplace_back(rules.room(rank), rank);
  }
  std::ranges::sort(sorted, [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first > b.first
                              : a.second.view->device.id < b.second.view->device.id;
  });
  Ranks ranks;
  for (const auto& [room, rank] : sorted) ranks.push_back(rank);
  return ranks;
}

std::vector<std::string> texts_of(const Rejections& missing) {
  std::vector<std::string> texts;
  texts.reserve(missing.size());
  for (const auto& one : missing) {
    texts.push_back(fmt::format("on {}: {}", one.worker, explain(one)));
  }
  return texts;
}

}  // namespace berth::schedule
