#include "schedule/layout.h"

#include "schedule/claims.h"
#include "schedule/ranks.h"
#include "schedule/shares.h"

#include <algorithm>
#include <iterator>

namespace berth::schedule {
namespace {

class StageRun {
 public:
  StageRun(const PlacementRequest& request, const Option& option, const PackOption& pack,
           const model::Serving& serving, Rejections& rejections)
      : claims_(request, option, pack, serving),
        option_(option),
        devices_(pack.devices),
        wish_(request.backend.device_wish(request.parameters)),
        policy_(request.deployment.placement),
        rejections_(rejections) {
    const bool can_share = request.backend.descriptor().division == backends::Division::layers;
    single_ = !can_share && devices_.size() > 1;
  }

  std::optional<model::Claim> one_device() {
    if (wish_.split.size() > 1 || wished() < claims_.layers()) return std::nullopt;
    return on_one(claims_.layers(), true);
  }

  std::optional<model::Claim> several_devices() {
    if (wish_.split.size() > devices_.size()) {
      rejections_.push_back({.code = RejectionCode::no_layout,
                             .worker = option_.worker->name,
                             .detail = fmt::format("--tensor-split names {} devices, it has {}",
                                                   wish_.split.size(), devices_.size())});
      return std::nullopt;
    }
    if (single_ || wished() < claims_.layers()) return std::nullopt;
    return on_several(claims_.layers(), true);
  }

  // As many layers as fit, at most as many as wished; one device where that holds as many. More
  // layers need more of the devices and less of the host, so the host is asked at the end.
  std::optional<model::Claim> partial_offload() {
    const auto most = std::min(wished(), claims_.layers() - 1);
    with_host_ = false;
    std::optional<model::Claim> best;
    std::uint32_t low = 0;  // fits; 0 is no offload
    std::uint32_t high = most;
    while (low < high) {
      const auto middle = low + (high - low + 1) / 2;
      auto claim = on_any(middle);
      if (claim) {
        best = std::move(claim);
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    with_host_ = true;
    if (!best) {
      if (most != 0) note_no_layer();
      return std::nullopt;
    }
    Devices devices;
    for (const auto& device : best->devices) {
      for (const auto* view : devices_) {
        if (view->device.id == device.device) devices.push_back(view);
      }
    }
    if (const auto short_of = claims_.shortage(*best, devices)) {
      note(RejectionCode::host_memory, *short_of, {}, "");
      return std::nullopt;
    }
    return best;
  }

  std::optional<model::Claim> cpu() {
    auto claim = claims_.claim({});
    if (!claim) {
      no_estimate(claim.error());
      return std::nullopt;
    }
    const auto short_of = claims_.shortage(*claim, {});
    if (!short_of) return *std::move(claim);
    note(RejectionCode::host_memory, *short_of, {}, "");
    return std::nullopt;
  }

 private:
  [[nodiscard]] std::uint32_t wished() const {
    return std::min(wish_.layers.value_or(claims_.layers()), claims_.layers());
  }

  std::optional<model::Claim> on_any(std::uint32_t layers) {
    if (wish_.split.size() <= 1) {
      if (auto claim = on_one(layers, false)) return claim;
    }
    return single_ ? std::nullopt : on_several(layers, false);
  }

  // Spread takes the emptiest device, binpack the fullest that holds it.
  std::optional<model::Claim> on_one(std::uint32_t layers, bool say) {
    auto order = devices_;
    if (policy_ == model::PlacementPolicy::binpack) std::reverse(order.begin(), order.end());
    std::optional<Shortage> nearest;
    Devices nearest_device;
    auto claim = claims_.claim({{order.front()->device.id, layers}});
    if (!claim) {
      if (say) no_estimate(claim.error());
      return std::nullopt;
    }
    for (const auto* view : order) {
      claim->devices.front().device = view->device.id;
      const auto short_of = claims_.shortage(*claim, {view}, with_host_);
      if (!short_of) return *std::move(claim);
      if (!nearest || short_of->available > nearest->available) {
        nearest = short_of;
        nearest_device = {view};
      }
    }
    if (say && nearest) note(RejectionCode::device_memory, *nearest, nearest_device, "one device");
    return std::nullopt;
  }

  // Two devices, then three …: the emptiest ones of one kind, or as many as the user's split has.
  std::optional<model::Claim> on_several(std::uint32_t layers, bool say) {
    std::optional<Shortage> nearest;
    Devices nearest_devices;
    for (std::size_t count = 2; count <= devices_.size() && count <= layers; ++count) {
      if (!wish_.split.empty() && wish_.split.size() != count) continue;
      const Devices devices(devices_.begin(),
                            devices_.begin() + static_cast<std::ptrdiff_t>(count));
      const auto kind = devices.front()->device.kind;
      // CUDA gives one process no more than one MIG instance.
      if (std::any_of(devices.begin(), devices.end(), [&](const auto* view) {
            return view->device.kind != kind || !view->device.part_of.empty();
          })) {
        break;
      }
      const auto parts = wish_.split.empty() ? free_parts(devices) : wish_.split;
      auto claim =
          balance(claims_, devices, proportional(devices, parts, layers), wish_.split.empty(),
                  [&](const auto& whole) { return claims_.shortage(whole, devices, with_host_); });
      if (claim) return *std::move(claim);
      nearest = claim.error();
      nearest_devices = devices;
    }
    if (say && nearest && nearest->needed.count != 0) {
      note(RejectionCode::device_memory, *nearest, nearest_devices,
           fmt::format("each of {} devices", nearest_devices.size()));
    }
    return std::nullopt;
  }

  void note_no_layer() {
    const auto* view = devices_.front();
    const auto claim = claims_.claim({{view->device.id, 1}});
    if (!claim) return no_estimate(claim.error());
    if (const auto short_of = claims_.shortage(*claim, {view})) {
      note(short_of->device == 0 ? RejectionCode::no_layer_fits : RejectionCode::host_memory,
           *short_of, {view}, "");
    }
  }

  void note(RejectionCode code, const Shortage& short_of, const Devices& devices,
            std::string detail) {
    const bool host = short_of.device >= devices.size();
    rejections_.push_back(
        {.code = host ? RejectionCode::host_memory : code,
         .worker = option_.worker->name,
         .device = host ? option_.host->device.id : devices[short_of.device]->device.id,
         .needed = short_of.needed,
         .available = short_of.available,
         .fitting_context = std::nullopt,
         .detail = host ? "" : std::move(detail)});
  }

  void no_estimate(const Error& error) {
    rejections_.push_back({.code = RejectionCode::no_estimate,
                           .worker = option_.worker->name,
                           .detail = error.to_string()});
  }

  Claims claims_;
  const Option& option_;
  const Devices& devices_;
  backends::DeviceWish wish_;
  model::PlacementPolicy policy_;
  Rejections& rejections_;
  bool single_ = false;
  bool with_host_ = true;  // whether the host's memory is asked for
};

void add(Rejections& to, Rejections from) {
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

}  // namespace

std::optional<Layout> lay_out(const PlacementRequest& request, const Option& option, Stage stage,
                              std::uint32_t context, Rejections& rejections) {
  for (const auto& pack : option.packs) {
    if (stage != Stage::cpu && pack.devices.empty()) continue;
    auto serving =
        request.backend.serving(request.profile, request.parameters, stage != Stage::cpu);
    if (!serving) continue;  // place() has asked already
    if (context != 0) serving->context = context;
    Rejections found;
    if (request.backend.descriptor().division == backends::Division::ranks && stage != Stage::cpu) {
      if (auto laid = lay_out_ranks(request, option, pack, *serving, stage, found)) return laid;
      if (&pack == &option.packs.front()) add(rejections, std::move(found));
      continue;
    }
    StageRun run(request, option, pack, *serving, found);
    std::optional<model::Claim> claim;
    switch (stage) {
      case Stage::one_device:
        claim = run.one_device();
        break;
      case Stage::several_devices:
        claim = run.several_devices();
        break;
      case Stage::partial_offload:
        claim = run.partial_offload();
        break;
      case Stage::several_workers:  // see span.h
        break;
      case Stage::cpu:
        claim = run.cpu();
        break;
    }
    if (claim) return Layout{*std::move(claim), *serving, pack.status->pack.name};
    if (&pack == &option.packs.front()) add(rejections, std::move(found));
  }
  return std::nullopt;
}

}  // namespace berth::schedule
