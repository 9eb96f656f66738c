#include "schedule/claims.h"

#include "estimate/observed.h"

namespace berth::schedule {
namespace {

constexpr std::string_view kHost = "cpu";

bool has_host(const model::Claim& claim) {
  return !claim.devices.empty() && claim.devices.back().device == kHost;
}

// What the user vouches for, in the place of the estimate.
void put_given(const model::GivenClaim& given, model::Claim& claim) {
  claim.method = model::ClaimMethod::given;
  const std::size_t devices = claim.devices.size() - (has_host(claim) ? 1 : 0);
  for (std::size_t i = 0; given.vram && i < devices; ++i) {
    claim.devices[i] = {.device = claim.devices[i].device, .weights = *given.vram};
  }
  if (!given.ram) return;
  if (!has_host(claim)) claim.devices.push_back({.device = std::string(kHost)});
  claim.devices.back() = {.device = std::string(kHost), .weights = *given.ram};
}

}  // namespace

Bytes host_part(const model::Claim& claim) {
  return has_host(claim) ? claim.devices.back().total() : Bytes{};
}

Claims::Claims(const PlacementRequest& request, const Option& option, const PackOption& pack,
               const model::Serving& serving)
    : request_(request), option_(option), serving_(serving), build_(pack.status->pack.build) {
  if (request.compute != nullptr && request.compute->build == build_) compute_ = request.compute;
}

Result<model::Claim> Claims::claim(const Shares& shares) const {
  if (option_.known == nullptr) return estimate(shares);
  std::vector<std::pair<std::string, std::uint32_t>> layers;
  layers.reserve(shares.size());
  for (const auto& share : shares) {
    layers.emplace_back(share.device.substr(0, share.device.find(':')), share.layers);
  }
  KnownClaims::Key key{build_, option_.worker->system.cores, serving_.context, serving_.slots,
                       std::move(layers)};
  auto known = option_.known->claims.find(key);
  if (known == option_.known->claims.end()) {
    known = option_.known->claims.emplace(std::move(key), estimate(shares)).first;
  }
  auto claim = known->second;
  for (std::size_t i = 0; claim && i < shares.size(); ++i) {
    claim->devices[i].device = shares[i].device;
  }
  return claim;
}

Result<model::Claim> Claims::estimate(const Shares& shares) const {
  auto claim = request_.backend.estimate({.profile = request_.profile,
                                          .parameters = request_.parameters,
                                          .serving = serving_,
                                          .devices = shares,
                                          .cores = option_.worker->system.cores,
                                          .compute = compute_});
  if (!claim) return claim;
  const auto* seen = berth::estimate::find_observed(request_.observed, build_, serving_, *claim);
  if (seen != nullptr && has_host(*claim)) berth::estimate::apply_observed(*seen, *claim);
  const auto& given = request_.deployment.claim;
  if (given && (given->vram || given->ram)) put_given(*given, *claim);
  return claim;
}

std::optional<Shortage> Claims::shortage(const model::Claim& claim, const Devices& devices,
                                         bool with_host) const {
  Bytes host = host_part(claim);
  for (std::size_t i = 0; i < devices.size(); ++i) {
    const auto needed = claim.devices[i].total();
    if (devices[i]->device.unified) host += needed;
    if (needed > devices[i]->free()) return Shortage{i, needed, devices[i]->free()};
  }
  if (with_host && host > option_.host->free())
    return Shortage{devices.size(), host, option_.host->free()};
  return std::nullopt;
}

}  // namespace berth::schedule
