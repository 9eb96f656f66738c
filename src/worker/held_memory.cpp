#include "worker/held_memory.h"

#include <algorithm>

namespace berth::worker {
namespace {

constexpr std::string_view kCpu = "cpu";  // the kernel gives that back at once
constexpr Bytes kNoise = 64_MiB;          // what drivers and displays take and give meanwhile

Bytes part(Bytes bytes, std::uint64_t numerator, std::uint64_t denominator) {
  return {bytes.count / denominator * numerator};
}

std::optional<Bytes> used_of(const std::string& device, const devices::Sample& sample) {
  const auto found = std::ranges::find(sample.devices, device, &model::Device::id);
  if (found == sample.devices.end() || !found->measured) return std::nullopt;
  return found->used;
}

// What processes have of a device: the engine's, nothing where none of them is named, and others'.
struct Uses {
  std::optional<Bytes> engine;
  Bytes others;
};

Uses uses_of(const std::string& device, const std::vector<pid_t>& engine,
             const devices::Sample& sample) {
  Uses uses;
  for (const auto& use : sample.processes) {
    if (use.device != device) continue;
    if (std::ranges::find(engine, use.pid) == engine.end()) {
      uses.others += use.memory;
    } else {
      uses.engine = uses.engine.value_or(Bytes{}) + use.memory;
    }
  }
  return uses;
}

}  // namespace

HeldMemory::HeldMemory(const std::vector<model::DeviceClaim>& claims,
                       const devices::Sample& before) {
  for (const auto& claim : claims) {
    if (claim.device == kCpu || claim.total().count == 0) continue;
    held_[claim.device] = {.claim = claim.total(), .used_before = used_of(claim.device, before)};
  }
}

void HeldMemory::see(const std::vector<pid_t>& processes, const devices::Sample& running) {
  processes_ = processes;
  for (auto& [device, held] : held_) {
    const auto used = used_of(device, running);
    if (!used) continue;
    const auto uses = uses_of(device, processes, running);
    held.running = {.used = *used, .others = uses.others, .reported = uses.engine};
  }
}

bool HeldMemory::is_free(const devices::Sample& now) const {
  return std::ranges::all_of(
      held_, [&](const auto& entry) { return is_free(entry.first, entry.second, now); });
}

bool HeldMemory::is_free(const std::string& device, const Held& held,
                         const devices::Sample& now) const {
  if (!held.used_before && !held.running) return true;
  const auto used = used_of(device, now);
  const auto uses = uses_of(device, processes_, now);
  if (!used || uses.engine) return false;
  const Bytes noise = std::min(kNoise, held.claim);
  if (held.running && held.running->reported) {
    // Others may have come or gone: what nobody is named for counts.
    const auto& then = *held.running;
    const Bytes most = part(*then.reported, 3, 4);
    return *used - uses.others + most <= then.used - then.others + noise;
  }
  if (!held.running) return *used <= *held.used_before + part(held.claim, 1, 4) + noise;
  const Bytes took = held.used_before ? std::min(held.claim, held.running->used - *held.used_before)
                                      : part(held.claim, 1, 2);
  return *used + part(took, 3, 4) <= held.running->used + noise;
}

}  // namespace berth::worker
