#include "schedule/span_layers.h"

#include "schedule/shares.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <ranges>
#include <set>
#include <span>
#include <string_view>
#include <tuple>

namespace berth::schedule {
namespace {

bool has_capability(const model::EnginePack& pack, std::string_view capability) {
  return std::ranges::find(pack.capabilities, capability) != pack.capabilities.end();
}

constexpr std::size_t kMostDevices = 16;  // of one process: llama_max_devices() of llama.cpp

// What a worker could give.
struct Part {
  const Option* option = nullptr;
  const PackOption* pack = nullptr;
  Devices devices;  // the most free memory first
  Bytes free;       // of all of them
};

// By a worker's own name for itself, nobody elsewhere finds it.
bool is_here_only(const Part& part) {
  const auto& host = part.option->worker->host;
  return host == "localhost" || host == "::1" || host.starts_with("127.");
}

bool reaches_all(std::span<const Part> parts) {
  return is_here_only(parts.front()) || std::ranges::none_of(parts.subspan(1), is_here_only);
}

// Some devices of some workers, as the engine counts them.
struct Selection {
  std::vector<const Part*> owners;  // of `devices`
  Devices devices;
};

class LayersOverWorkers {
 public:
  LayersOverWorkers(const PlacementRequest& request, const std::vector<Option>& options,
                    const model::Serving& serving, Rejections& rejections)
      : request_(request),
        traits_(request.backend.descriptor()),
        serving_(serving),
        wish_(request.backend.device_wish(request.parameters)),
        host_(request.backend.subordinate_host(request.profile)),
        rejections_(rejections) {
    for (const auto& option : options) add_part(option);
    // Only where others can: on one machine nobody thinks of it.
    for (const auto* option : builds_.empty() ? std::vector<const Option*>() : unable_) {
      reject(*option, RejectionCode::no_layout,
             fmt::format("no engine pack there can work over several workers ({})",
                         traits_.span_capability));
    }
    for (auto& [build, parts] : builds_) {
      std::ranges::sort(parts, [](const Part& a, const Part& b) {
        return std::tuple(b.free, a.option->worker->name) <
               std::tuple(a.free, b.option->worker->name);
      });
    }
  }

  // The user named devices of `workers` workers: all of those are taken.
  std::optional<Span> named(std::size_t workers) {
    if (builds_.size() != 1 || builds_.begin()->second.size() != workers) return std::nullopt;
    const auto& parts = builds_.begin()->second;
    return over(parts, parts.back().devices.size());
  }

  std::optional<Span> chosen() {
    std::optional<Span> best;
    std::size_t fewest = 0;
    for (const auto& [build, parts] : builds_) {
      const auto count = best ? fewest - 1 : parts.size();
      for (std::size_t workers = 2; workers <= std::min(count, parts.size()); ++workers) {
        auto found = over_first(parts, workers);
        if (!found) continue;
        best = std::move(found);
        fewest = workers;
        break;
      }
    }
    return best;
  }

 private:
  void reject(const Option& option, RejectionCode code, std::string why) {
    rejections_.push_back({.code = code, .worker = option.worker->name, .detail = std::move(why)});
  }

  void add_part(const Option& option) {
    const auto pack = std::ranges::find_if(option.packs, [&](const PackOption& one) {
      return !one.devices.empty() && has_capability(one.status->pack, traits_.span_capability);
    });
    if (pack == option.packs.end()) {
      const bool has_some = std::ranges::any_of(
          option.packs, [](const PackOption& one) { return !one.devices.empty(); });
      if (has_some) unable_.push_back(&option);
      return;
    }
    Part part{.option = &option, .pack = &*pack, .devices = {}, .free = {}};
    for (const auto* view : pack->devices) {
      const auto& first = pack->devices.front()->device;
      // CUDA gives one process no more than one MIG instance.
      const bool fits =
          view->device.kind == first.kind && view->device.part_of.empty() && first.part_of.empty();
      if (view != pack->devices.front() && !fits) continue;
      if (!holds_a_layer(option, *pack, *view)) continue;
      part.devices.push_back(view);
      part.free += view->free();
    }
    if (!part.devices.empty()) {
      builds_[pack->status->pack.build].push_back(std::move(part));
    }
  }

  [[nodiscard]] bool holds_a_layer(const Option& option, const PackOption& pack,
                                   const model::DeviceView& view) const {
    const Claims claims(request_, option, pack, serving_);
    const auto claim = claims.claim({{view.device.id, 1}});
    return claim && !claims.shortage(*claim, {&view}, false);
  }

  // The main process moves to the next worker where the first has too little main memory.
  std::optional<Span> over_first(const std::vector<Part>& all, std::size_t workers) {
    std::vector<Part> parts(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(workers));
    for (std::size_t turn = 0; turn < workers; ++turn) {
      if (!reaches_all(parts)) {
        std::ranges::rotate(parts, parts.begin() + 1);
        continue;
      }
      const std::size_t before = rejections_.size();
      for (std::size_t last = 1; last <= parts.back().devices.size(); ++last) {
        rejections_.erase(rejections_.begin() + static_cast<std::ptrdiff_t>(before),
                          rejections_.end());
        if (auto found = over(parts, last)) return found;
      }
      if (rejections_.size() == before || rejections_.back().code != RejectionCode::host_memory ||
          rejections_.back().worker != parts.front().option->worker->name) {
        break;
      }
      std::ranges::rotate(parts, parts.begin() + 1);
    }
    return std::nullopt;
  }

  // All devices of the parts, of the last one the first `last`.
  static Selection select(const std::vector<Part>& parts, std::size_t last) {
    Selection selection;
    const auto add = [&](const Part& part) {
      const auto count = &part == &parts.back() ? last : part.devices.size();
      for (const auto* view : part.devices | std::views::take(count)) {
        selection.owners.push_back(&part);
        selection.devices.push_back(view);
      }
    };
    for (const auto& part : parts | std::views::drop(1)) add(part);
    add(parts.front());
    return selection;
  }

  std::optional<Span> over(const std::vector<Part>& parts, std::size_t last) {
    const Part& main = parts.front();
    const Claims claims(request_, *main.option, *main.pack, serving_);
    const auto selection = select(parts, last);
    const auto& devices = selection.devices;
    const auto wished = std::min(wish_.layers.value_or(claims.layers()), claims.layers());
    if (devices.size() > kMostDevices || devices.size() > wished || wished < claims.layers()) {
      return std::nullopt;
    }
    if (!wish_.split.empty() && wish_.split.size() != devices.size()) return std::nullopt;
    const auto proportions = wish_.split.empty() ? free_parts(devices) : wish_.split;
    auto claim =
        balance(claims, devices, proportional(devices, proportions, wished), wish_.split.empty(),
                [&](const auto& whole) { return shortage(whole, selection, main); });
    if (claim) return span_of(parts, selection, *std::move(claim));
    note(claim.error(), selection, main);
    return std::nullopt;
  }

  // The first device that is too small, then the first worker whose main memory is: the positions
  // of its shortages follow the devices'.
  [[nodiscard]] std::optional<Shortage> shortage(const model::Claim& claim,
                                                 const Selection& selection,
                                                 const Part& main) const {
    std::map<const Part*, Bytes> hosts;
    const auto& devices = selection.devices;
    for (std::size_t i = 0; i < devices.size(); ++i) {
      const Part* owner = selection.owners[i];
      const auto needed = claim.devices[i].total();
      if (needed > devices[i]->free()) return Shortage{i, needed, devices[i]->free()};
      if (devices[i]->device.unified) hosts[owner] += needed;
      if (owner != &main) hosts[owner] += host_;
    }
    hosts[&main] += host_part(claim);
    for (std::size_t i = 0; i < devices.size(); ++i) {
      const Part* owner = selection.owners[i];
      const auto free = owner->option->host->free();
      if (hosts[owner] > free) return Shortage{devices.size() + i, hosts[owner], free};
    }
    return std::nullopt;
  }

  void note(const Shortage& short_of, const Selection& selection, const Part& main) {
    const auto count = selection.devices.size();
    if (short_of.needed.count == 0) {
      return reject(*main.option, RejectionCode::no_estimate,
                    "what it would take over several workers is not known");
    }
    const bool host = short_of.device >= count;
    const auto index = host ? short_of.device - count : short_of.device;
    const Option& option = *selection.owners[index]->option;
    rejections_.push_back(
        {.code = host ? RejectionCode::host_memory : RejectionCode::device_memory,
         .worker = option.worker->name,
         .device = host ? option.host->device.id : selection.devices[index]->device.id,
         .needed = short_of.needed,
         .available = short_of.available,
         .fitting_context = std::nullopt,
         .detail = host ? ""
                        : fmt::format(
                              "each of {} devices on {} workers", count,
                              std::set(selection.owners.begin(), selection.owners.end()).size())});
  }

  [[nodiscard]] Span span_of(const std::vector<Part>& parts, const Selection& selection,
                             model::Claim claim) const {
    Span span{.main = parts.front().option,
              .layout = {.claim = {.method = claim.method,
                                   .devices = {},
                                   .layers = std::move(claim.layers)},
                         .serving = serving_,
                         .pack = parts.front().pack->status->pack.name},
              .subordinates = {}};
    for (const auto& part : parts | std::views::drop(1)) {
      span.subordinates.push_back({.worker = part.option->worker->name, .devices = {}});
    }
    for (std::size_t i = 0; i < claim.devices.size(); ++i) {
      const Part* owner = i < selection.owners.size() ? selection.owners[i] : &parts.front();
      const auto place = owner - parts.data();
      auto& devices = place == 0 ? span.layout.claim.devices
                                 : span.subordinates[static_cast<std::size_t>(place) - 1].devices;
      devices.push_back(std::move(claim.devices[i]));
    }
    for (auto& part : span.subordinates) {
      const auto servers = part.devices.size();
      part.devices.push_back({.device = "cpu", .runtime = host_ * servers});
    }
    return span;
  }

  const PlacementRequest& request_;
  const backends::BackendDescriptor& traits_;
  const model::Serving& serving_;
  backends::DeviceWish wish_;
  Bytes host_;  // that each subordinate device takes of its worker's main memory
  Rejections& rejections_;
  std::map<std::string_view, std::vector<Part>> builds_;
  std::vector<const Option*> unable_;  // with devices, and no pack that can
};

}  // namespace

std::optional<Span> span_layers(const PlacementRequest& request, const std::vector<Option>& options,
                                const model::Serving& serving, Rejections& rejections) {
  // Which of several devices a projector goes to is not known for those of other workers.
  const auto projector = request.backend.projector(request.profile, request.parameters);
  if (!projector || *projector != nullptr) return std::nullopt;
  LayersOverWorkers workers(request, options, serving, rejections);
  const auto named = named_workers(request.deployment);
  if (named == 1) return std::nullopt;
  return named == 0 ? workers.chosen() : workers.named(named);
}

}  // namespace berth::schedule
