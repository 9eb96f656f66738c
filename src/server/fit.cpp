#include "server/fit.h"

#include "schedule/place.h"

#include <algorithm>

namespace berth::server {
namespace {

constexpr std::size_t kMaxDevices = 16;
constexpr std::uint32_t kContextStep = 256;  // tokens
constexpr Bytes kPlenty{1ULL << 50U};

// A cluster of one worker that has nothing but these devices.
model::ClusterView imagined(const FitQuestion& question) {
  const Bytes host = question.host == 0_B ? kPlenty : question.host;
  model::WorkerView worker{.name = "here"};
  worker.system = {.os = "linux", .arch = "amd64", .cores = question.cores, .memory = host};
  worker.labels = question.backend.descriptor().worker_selector;
  const auto add = [&](model::DeviceKind kind, std::string id, std::uint32_t index, Bytes memory) {
    model::DeviceView view;
    view.device.kind = kind;
    view.device.id = std::move(id);
    view.device.index = index;
    view.device.memory = memory;
    worker.devices.push_back(std::move(view));
  };
  add(model::DeviceKind::cpu, "cpu", 0, host);
  for (std::uint32_t i = 0; i < question.devices.size(); ++i) {
    add(model::DeviceKind::cuda, fmt::format("device:{}", i), i, question.devices[i]);
  }
  model::PackStatus status;
  status.pack = {.name = "imagined",
                 .engine = std::string(question.backend.descriptor().engines.front()),
                 .backend = std::string(question.backend.descriptor().name),
                 .build = question.compute.build,
                 .runtimes = {"cpu", "cuda"},
                 .program = {"imagined"}};
  status.state = model::PackState::installed;
  worker.packs = {std::move(status)};
  model::ClusterView cluster;
  cluster.add(std::move(worker));
  return cluster;
}

std::vector<std::string> with_context(const FitQuestion& question, std::uint32_t tokens) {
  auto flags = question.parameters;
  flags.emplace_back(question.backend.descriptor().context_flag);
  flags.push_back(std::to_string(tokens));
  return flags;
}

// What a way to lay the model out gives for a set of flags.
struct Laid {
  FitKind kind = FitKind::none;
  model::Claim claim;
  std::vector<std::string> reasons;
};

// What place() says.
Result<Laid> lay(const FitQuestion& question, const std::vector<std::string>& flags) {
  BERTH_TRY(const auto parsed, backends::parse_parameters(question.backend.descriptor(), flags));
  model::Deployment deployment{.name = "imagined", .source = "/imagined", .parameters = flags};
  const auto placed =
      schedule::place({deployment, question.profile, question.backend, parsed, &question.compute},
                      imagined(question));
  Laid laid;
  if (!placed) {
    for (const auto& rejection : placed.error()) laid.reasons.push_back(explain(rejection));
    return laid;
  }
  laid.claim = placed->placement.claim;
  const bool whole = placed->stage == schedule::Stage::one_device ||
                     placed->stage == schedule::Stage::several_devices;
  laid.kind = whole                                               ? FitKind::whole
              : placed->stage == schedule::Stage::partial_offload ? FitKind::partly
                                                                  : FitKind::none;
  laid.reasons = placed->warnings;
  return laid;
}

// The longest context with all of the model on the devices, in steps; 0 where there is none.
Result<std::uint32_t> longest_context(const FitQuestion& question) {
  const std::uint32_t most = question.profile.context_length;
  if (most == 0 || question.backend.descriptor().context_flag.empty()) return 0;
  std::uint32_t low = 1;
  std::uint32_t high = (most + kContextStep - 1) / kContextStep;
  std::uint32_t best = 0;
  while (low <= high) {
    const std::uint32_t middle = low + (high - low) / 2;
    const std::uint32_t tokens = std::min(middle * kContextStep, most);
    BERTH_TRY(const auto laid, lay(question, with_context(question, tokens)));
    if (laid.kind == FitKind::whole) {
      best = tokens;
      low = middle + 1;
    } else {
      high = middle - 1;
    }
  }
  return best;
}

}  // namespace

Result<DeviceFit> fit_devices(const FitQuestion& question) {
  if (question.devices.empty() || question.devices.size() > kMaxDevices) {
    return fail(make_error(ErrorCode::invalid_parameter,
                           "devices must be 1 to {} amounts of memory, such as 24GiB", kMaxDevices)
                    .with_field("devices"));
  }
  BERTH_TRY(auto laid, lay(question, question.parameters));
  DeviceFit fit{.devices = question.devices,
                .kind = laid.kind,
                .claim = std::move(laid.claim),
                .reasons = std::move(laid.reasons)};
  BERTH_TRY(fit.longest_context, longest_context(question));
  if (fit.kind == FitKind::whole) {
    BERTH_TRY(const auto parsed,
              backends::parse_parameters(question.backend.descriptor(), question.parameters));
    const Bytes smallest = std::ranges::min(question.devices);
    fit.cached_tokens = question.backend.cached_tokens(question.profile, parsed, fit.claim,
                                                       question.backend.usable(parsed, smallest));
  }
  return fit;
}

}  // namespace berth::server
