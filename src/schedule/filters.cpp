#include "schedule/filters.h"

#include "backends/check.h"

#include <algorithm>
#include <set>
#include <tuple>

namespace berth::schedule {
namespace {

using model::CpuOffload;
using model::PackState;

// The devices of this worker that the user named; false where others were named.
bool wanted_devices(const PlacementRequest& request, const std::string& worker,
                    std::vector<std::string>& wanted) {
  if (request.deployment.devices.empty()) return true;
  const auto prefix = worker + ":";
  for (const auto& name : request.deployment.devices) {
    if (name.starts_with(prefix)) wanted.push_back(name.substr(prefix.size()));
  }
  return !wanted.empty();
}

std::string_view ability_of(model::Category category) {
  if (category == model::Category::embedding) return "embeddings";
  if (category == model::Category::reranker) return "rerank";
  return "";
}

bool contains(const std::vector<std::string>& list, std::string_view text) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

// Why the pack can not run the instance; empty where it can.
std::string pack_lacks(const PlacementRequest& request, const model::PackStatus& status) {
  const auto& pack = status.pack;
  const auto flags = backends::unsupported_flags(pack, request.parameters);
  if (!flags.empty()) {
    return fmt::format("engine pack {} does not have {}", pack.name, fmt::join(flags, ", "));
  }
  const auto ability = ability_of(request.profile.category);
  if (!ability.empty() && !pack.capabilities.empty() && !contains(pack.capabilities, ability)) {
    return fmt::format("engine pack {} can not do {}", pack.name, ability);
  }
  // It takes minutes and all of the processor: nobody's flag, perhaps misspelt, starts that.
  const bool asked_for = request.deployment.backend_version.has_value();
  if (pack.compiled && status.state == PackState::available && !asked_for) {
    return fmt::format("engine pack {0} is not compiled yet (berth engines install {0})",
                       pack.name);
  }
  return "";
}

bool version_matches(const PlacementRequest& request, const model::EnginePack& pack) {
  const auto& wish = request.deployment.backend_version;
  return !wish || *wish == pack.version || *wish == pack.build || *wish == pack.name;
}

int state_rank(PackState state) {
  switch (state) {
    case PackState::installed:
      return 0;
    case PackState::installing:
      return 1;
    case PackState::available:
    case PackState::failed:
      break;
  }
  return 2;
}

// A configured path, then the system's own, then installed packs, then those to install.
int kind_rank(model::PackKind kind) {
  switch (kind) {
    case model::PackKind::path:
      return 0;
    case model::PackKind::system:
      return 1;
    case model::PackKind::wheel:
      break;
  }
  return 2;
}

bool find_packs(const PlacementRequest& request, const model::WorkerView& worker,
                const std::string& platform, Option& option, Rejections& rejections) {
  const auto backend = request.backend.descriptor().name;
  std::string failed;
  std::string lacks;
  for (const auto& status : worker.packs) {
    const auto& pack = status.pack;
    if (pack.backend != backend || !version_matches(request, pack)) continue;
    if (!pack.platforms.empty() && !contains(pack.platforms, platform)) continue;
    if (status.state == PackState::failed) {
      failed = fmt::format("engine pack {} could not be installed: {}", pack.name, status.reason);
      continue;
    }
    if (auto missing = pack_lacks(request, status); !missing.empty()) {
      lacks += (lacks.empty() ? "" : "; ") + missing;
      continue;
    }
    option.packs.push_back({.status = &status, .devices = {}});
  }
  if (!option.packs.empty()) return true;
  Rejection rejection{.code = RejectionCode::no_pack, .worker = worker.name};
  if (!lacks.empty()) {
    rejection.code = RejectionCode::pack_lacks;
    rejection.detail = lacks;
  } else if (!failed.empty()) {
    rejection.detail = failed;
  } else {
    rejection.detail = fmt::format(
        "has no engine pack for {}{} on {}", backend,
        request.deployment.backend_version ? " " + *request.deployment.backend_version : "",
        platform);
  }
  rejections.push_back(std::move(rejection));
  return false;
}

// The most free memory first, which is computed once for each.
void sort_by_room(std::vector<const model::DeviceView*>& devices) {
  std::vector<std::pair<Bytes, const model::DeviceView*>> sorted;
  sorted.reserve(devices.size());
  for (const auto* view : devices) sorted.emplace_back(view->free(), view);
  std::ranges::sort(sorted, [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first > b.first : a.second->device.id < b.second->device.id;
  });
  std::ranges::transform(sorted, devices.begin(), [](const auto& one) { return one.second; });
}

// Gives each pack the devices that it can use.
void share_devices(const model::WorkerView& worker, const std::vector<std::string>& wanted,
                   Option& option) {
  for (const auto& view : worker.devices) {
    const auto& device = view.device;
    if (device.kind == model::DeviceKind::cpu) continue;
    if (!wanted.empty() && !contains(wanted, device.id)) continue;
    bool usable = false;
    for (auto& pack : option.packs) {
      if (!contains(pack.status->pack.runtimes, enum_name(device.kind))) continue;
      pack.devices.push_back(&view);
      usable = true;
    }
    if (!usable) {
      option.unusable.push_back(
          device.name.empty() ? device.id : fmt::format("{} ({})", device.id, device.name));
    }
  }
  for (auto& pack : option.packs) sort_by_room(pack.devices);
  std::sort(option.packs.begin(), option.packs.end(), [](const auto& a, const auto& b) {
    const auto rank = [](const PackOption& pack) {
      return std::tuple(pack.devices.empty(), state_rank(pack.status->state),
                        kind_rank(pack.status->pack.kind));
    };
    if (rank(a) != rank(b)) return rank(a) < rank(b);
    return std::tuple(b.status->pack.version, a.status->pack.name) <
           std::tuple(a.status->pack.version, b.status->pack.name);
  });
}

bool check_wanted(const model::WorkerView& worker, const std::vector<std::string>& wanted,
                  const Option& option, Rejections& rejections) {
  bool good = true;
  for (const auto& id : wanted) {
    const auto* view = worker.find_device(id);
    if (view == nullptr) {
      rejections.push_back(
          {.code = RejectionCode::unknown_device, .worker = worker.name, .device = id});
      good = false;
      continue;
    }
    const bool usable =
        view->device.kind == model::DeviceKind::cpu ||
        std::any_of(option.packs.begin(), option.packs.end(), [&](const PackOption& pack) {
          return std::find(pack.devices.begin(), pack.devices.end(), view) != pack.devices.end();
        });
    if (!usable) {
      rejections.push_back(
          {.code = RejectionCode::device_unusable, .worker = worker.name, .device = id});
      good = false;
    }
  }
  return good;
}

}  // namespace

std::size_t named_workers(const model::Deployment& deployment) {
  std::set<std::string_view> workers;
  for (const std::string_view device : deployment.devices) {
    workers.insert(device.substr(0, device.find(':')));
  }
  return workers.size();
}

model::CpuOffload cpu_offload_of(const PlacementRequest& request) {
  if (request.deployment.cpu_offload) return *request.deployment.cpu_offload;
  return request.backend.descriptor().cpu_offload ? CpuOffload::allow : CpuOffload::never;
}

bool filter(const PlacementRequest& request, const model::WorkerView& worker, Option& option,
            Rejections& rejections) {
  const auto reject = [&](RejectionCode code, std::string detail = "") {
    rejections.push_back({.code = code, .worker = worker.name, .detail = std::move(detail)});
    return false;
  };
  option.worker = &worker;
  std::vector<std::string> wanted;
  if (!wanted_devices(request, worker.name, wanted)) return reject(RejectionCode::not_wanted);
  if (worker.state != model::WorkerState::ready) {
    return reject(RejectionCode::worker_not_ready,
                  worker.reason.empty() ? std::string(enum_name(worker.state)) : worker.reason);
  }
  if (worker.scheduling != model::Scheduling::open) return reject(RejectionCode::cordoned);
  if (std::ranges::find(request.avoid, worker.name) != request.avoid.end()) {
    return reject(RejectionCode::failed_there);
  }
  const auto& wished = request.deployment.worker_selector;
  for (const auto& [label, value] :
       wished.empty() ? request.backend.descriptor().worker_selector : wished) {
    const auto found = worker.labels.find(label);
    if (found == worker.labels.end() || found->second != value) {
      return reject(RejectionCode::label_mismatch, fmt::format("{}={}", label, value));
    }
  }
  const auto platform = fmt::format("{}/{}", worker.system.os, worker.system.arch);
  const auto platforms = request.backend.platforms(request.profile);
  if (!platforms.empty() &&
      std::find(platforms.begin(), platforms.end(), platform) == platforms.end()) {
    return reject(RejectionCode::platform, platform);
  }
  if (!find_packs(request, worker, platform, option, rejections)) return false;
  share_devices(worker, wanted, option);
  if (!check_wanted(worker, wanted, option, rejections)) return false;
  option.cpu_allowed =
      wanted.empty() || std::any_of(wanted.begin(), wanted.end(), [&](const std::string& id) {
        return worker.find_device(id)->device.kind == model::DeviceKind::cpu;
      });
  for (const auto& view : worker.devices) {
    if (view.device.kind == model::DeviceKind::cpu) option.host = &view;
  }
  if (option.host == nullptr) return reject(RejectionCode::host_memory);
  return true;
}

}  // namespace berth::schedule
