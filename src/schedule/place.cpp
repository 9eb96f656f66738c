#include "schedule/place.h"

#include "schedule/claims.h"
#include "schedule/layout.h"
#include "schedule/score.h"
#include "schedule/span.h"

#include <algorithm>
#include <array>
#include <map>

namespace berth::schedule {
namespace {

using model::CpuOffload;

constexpr std::array kStages = {Stage::one_device, Stage::several_devices, Stage::several_workers,
                                Stage::partial_offload, Stage::cpu};
constexpr std::size_t kExplained = 8;  // workers for which a context that fits is sought

bool has_devices(const Option& option) {
  return std::any_of(option.packs.begin(), option.packs.end(),
                     [](const PackOption& pack) { return !pack.devices.empty(); });
}

// Whether any device of the worker could take one layer if nothing else ran on it.
bool any_layer_fits_when_empty(const PlacementRequest& request, const Option& option) {
  Option empty = option;
  std::vector<std::vector<model::DeviceView>> copies;
  for (auto& pack : empty.packs) {
    auto& devices = copies.emplace_back();
    for (const auto* view : pack.devices) {
      devices.push_back(*view);
      devices.back().instances.clear();
      devices.back().device.used = {};
      devices.back().device.measured = true;
    }
    for (std::size_t i = 0; i < devices.size(); ++i) pack.devices[i] = &devices[i];
  }
  Rejections ignored;
  for (const auto stage : {Stage::partial_offload, Stage::one_device, Stage::several_devices}) {
    if (lay_out(request, empty, stage, 0, ignored)) return true;
  }
  return false;
}

// The stages that a worker may try.
class StageRules {
 public:
  explicit StageRules(const PlacementRequest& request)
      : request_(request), offload_(cpu_offload_of(request)) {
    const auto wish = request.backend.device_wish(request.parameters);
    const auto layers = request.backend.layers(request.profile);
    when_full_ =
        request.deployment.cpu_when_full.value_or(request.backend.descriptor().cpu_when_full);
    has_parts_ = request.backend.descriptor().division == backends::Division::layers;
    no_layers_ = wish.layers == 0U;
    fewer_layers_ = wish.layers && *wish.layers != 0 && *wish.layers < layers;
  }

  [[nodiscard]] bool cpu_only() const { return offload_ == CpuOffload::only || no_layers_; }
  // The user's flags and cpu_offload contradict each other; the sentence says how.
  [[nodiscard]] std::string contradiction() const {
    if (offload_ != CpuOffload::never) return "";
    if (no_layers_) return "--gpu-layers 0 needs the CPU, and cpu_offload is never";
    if (fewer_layers_) {
      return "--gpu-layers leaves layers to the CPU, and cpu_offload is never";
    }
    return "";
  }

  bool may(const Option& option, Stage stage, Rejections& rejections) const {
    if (stage == Stage::several_workers) return false;  // not one worker's to do
    if (stage != Stage::cpu) {
      if (cpu_only() || !has_devices(option)) return false;
      return stage != Stage::partial_offload || (has_parts_ && offload_ == CpuOffload::allow);
    }
    if (offload_ == CpuOffload::never) {
      if (has_devices(option)) return false;  // its devices' figures say enough
      return reject(option, rejections, RejectionCode::offload_not_allowed,
                    "no device that an engine pack can use, and cpu_offload is never");
    }
    if (!option.cpu_allowed) {
      if (!cpu_only()) return false;
      return reject(option, rejections, RejectionCode::offload_not_allowed,
                    "only devices were asked for, and the CPU alone may compute");
    }
    if (cpu_only() || when_full_ || !has_devices(option)) return true;
    if (!any_layer_fits_when_empty(request_, option)) return true;
    return reject(option, rejections, RejectionCode::cpu_when_full, "");
  }

 private:
  static bool reject(const Option& option, Rejections& rejections, RejectionCode code,
                     std::string detail) {
    rejections.push_back(
        {.code = code, .worker = option.worker->name, .detail = std::move(detail)});
    return false;
  }

  const PlacementRequest& request_;
  CpuOffload offload_;
  bool when_full_ = false;  // the CPU alone is good enough for a model whose devices are full
  bool has_parts_ = false;  // of which some may be the CPU's
  bool no_layers_ = false;
  bool fewer_layers_ = false;
};

std::vector<std::string> warnings_of(const Option& option, Stage stage) {
  std::vector<std::string> warnings;
  if (stage != Stage::cpu) return warnings;
  if (!option.unusable.empty()) {
    warnings.push_back(fmt::format(
        "runs on the CPU: no engine pack on {} can use {}; put a llama-server that is built for it "
        "on the PATH, or see which packs can: berth engines list",
        option.worker->name, fmt::join(option.unusable, ", ")));
  } else if (has_devices(option)) {
    warnings.push_back(
        fmt::format("runs on the CPU alone, although {} has devices", option.worker->name));
  }
  return warnings;
}

// The largest context, in steps of 256, with which any stage fits; 0 for none.
std::uint32_t fitting_context(const PlacementRequest& request, const Option& option,
                              const StageRules& rules) {
  const auto serving = request.backend.serving(request.profile, request.parameters, true);
  if (!serving) return 0;
  const auto fits = [&](std::uint32_t context) {
    Rejections ignored;
    return std::any_of(kStages.begin(), kStages.end(), [&](Stage stage) {
      return rules.may(option, stage, ignored) && lay_out(request, option, stage, context, ignored);
    });
  };
  constexpr std::uint32_t kStep = 256;
  std::uint32_t low = 0;
  std::uint32_t high = (serving->context - 1) / kStep;
  while (low < high) {
    const auto middle = low + (high - low + 1) / 2;
    if (fits(middle * kStep)) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low * kStep;
}

bool is_about_memory(RejectionCode code) {
  return code == RejectionCode::device_memory || code == RejectionCode::host_memory ||
         code == RejectionCode::no_layer_fits || code == RejectionCode::rank_memory;
}

void add_fitting_contexts(const PlacementRequest& request, const std::vector<Option>& options,
                          const StageRules& rules, Rejections& rejections) {
  std::size_t explained = 0;
  for (const auto& option : options) {
    if (explained++ == kExplained) break;
    const auto last = std::find_if(rejections.rbegin(), rejections.rend(), [&](const auto& r) {
      return r.worker == option.worker->name && is_about_memory(r.code);
    });
    if (last == rejections.rend()) continue;
    if (const auto context = fitting_context(request, option, rules); context != 0) {
      last->fitting_context = context;
      last->context_flag = request.backend.descriptor().context_flag;
    }
  }
}

void sort_by_worker(Rejections& rejections) {
  std::multimap<std::string, Rejection> sorted;  // keeps the order of a worker's own
  for (auto& rejection : rejections) {
    auto worker = rejection.worker;
    sorted.emplace(std::move(worker), std::move(rejection));
  }
  rejections.clear();
  for (auto& [worker, rejection] : sorted) rejections.push_back(std::move(rejection));
}

ScoredPlacement scored(const PlacementRequest& request, const Option& option, Stage stage,
                       Layout layout, std::vector<model::SubordinatePlacement> subordinates) {
  ScoredPlacement found{.placement = {.worker = option.worker->name,
                                      .claim = std::move(layout.claim),
                                      .subordinates = std::move(subordinates),
                                      .pack = std::move(layout.pack),
                                      .overcommit = !layout.overcommitted.empty()},
                        .serving = layout.serving,
                        .stage = stage,
                        .warnings = warnings_of(option, stage),
                        .rejections = {}};
  for (const auto& why : layout.overcommitted) {
    found.warnings.push_back("placed where you asked for it, although " + why);
  }
  found.score = score_of(*option.worker, request.deployment.name, found.placement,
                         request.deployment.placement);
  return found;
}

Rejections invalid(std::string detail) {
  return {{.code = RejectionCode::invalid_request, .detail = std::move(detail)}};
}

}  // namespace

tl::expected<ScoredPlacement, Rejections> place(const PlacementRequest& request,
                                                const model::ClusterView& cluster) {
  if (cluster.workers().empty()) {
    return tl::unexpected(Rejections{{.code = RejectionCode::no_workers}});
  }
  const StageRules rules(request);
  if (auto text = rules.contradiction(); !text.empty()) return tl::unexpected(invalid(text));
  const auto serving = request.backend.serving(request.profile, request.parameters, true);
  if (!serving) return tl::unexpected(invalid(serving.error().to_string()));

  Rejections rejections;
  std::vector<Option> options;
  KnownClaims known;
  for (const auto& [name, worker] : cluster.workers()) {
    Option option;
    option.known = &known;
    if (filter(request, worker, option, rejections)) options.push_back(std::move(option));
  }
  for (const auto stage : kStages) {
    std::optional<ScoredPlacement> best;
    if (stage == Stage::several_workers && !rules.cpu_only()) {
      auto span = span_workers(request, options, *serving, rejections);
      if (span) {
        best = scored(request, *span->main, stage, std::move(span->layout),
                      std::move(span->subordinates));
      }
    }
    for (const auto& option : options) {
      if (!rules.may(option, stage, rejections)) continue;
      auto layout = lay_out(request, option, stage, 0, rejections);
      if (!layout) continue;
      auto found = scored(request, option, stage, *std::move(layout), {});
      // Workers come in the order of their names: the first wins a tie.
      if (!best || found.score > best->score) best = std::move(found);
    }
    if (best) {
      sort_by_worker(rejections);
      best->rejections = std::move(rejections);
      return *std::move(best);
    }
  }
  for (const auto& option : options) {
    const auto& name = option.worker->name;
    const bool said = std::any_of(rejections.begin(), rejections.end(),
                                  [&](const Rejection& r) { return r.worker == name; });
    if (!said) rejections.push_back({.code = RejectionCode::no_layout, .worker = name});
  }
  add_fitting_contexts(request, options, rules, rejections);
  sort_by_worker(rejections);
  return tl::unexpected(std::move(rejections));
}

}  // namespace berth::schedule
