#include "worker/devices/sampler.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include <fmt/format.h>

namespace berth::worker::devices {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kSeldom = 12;  // times `every`, where the library or tool is not here

// Drops what a look that failed or hangs leaves unknown.
void forget_figures(Sample& sample) {
  for (auto& device : sample.devices) {
    device.measured = false;
    device.used = {};
    device.utilisation.reset();
    device.temperature.reset();
    device.power.reset();
  }
  sample.processes.clear();
  sample.warnings.clear();
}

}  // namespace

// Shared with the thread, which may outlive the sampler.
struct Sampler::Watch {
  std::unique_ptr<Vendor> vendor;  // the thread's alone
  std::string name;
  model::DeviceKind kind = model::DeviceKind::cpu;

  std::mutex mutex;
  std::condition_variable changed;
  bool stop = false;
  bool ended = false;
  bool looked = false;
  bool soon = false;
  std::optional<Clock::time_point> looking_since;
  Sample sample;
  Clock::time_point began = Clock::time_point::min();  // of the look that gave `sample`
  std::optional<Error> error;

  void run(Duration every) {
    std::unique_lock lock(mutex);
    while (!stop) {
      const auto now = Clock::now();
      looking_since = now;
      soon = false;
      lock.unlock();
      auto found = look();
      lock.lock();
      looking_since.reset();
      looked = true;
      error.reset();
      if (found) {
        sample = *std::move(found);
        began = now;
      } else {
        error = std::move(found).error();
        forget_figures(sample);
      }
      changed.notify_all();
      const bool seldom = error && error->code == ErrorCode::not_found;
      changed.wait_for(lock, seldom ? every * kSeldom : every, [this] { return stop || soon; });
    }
    ended = true;
    changed.notify_all();
  }

  Result<Sample> look() {
    try {
      return vendor->look();
    } catch (const std::exception& thrown) {
      return fail(ErrorCode::internal, "{}", thrown.what());
    }
  }

  void add_to(Snapshot& snapshot, Duration patience) {
    const std::lock_guard lock(mutex);
    Sample now = sample;
    if (looking_since && Clock::now() - *looking_since > patience) {
      forget_figures(now);
      now.warnings.push_back(fmt::format(
          "{}: a look at its devices has not ended in {} s, so what is used of them is not known "
          "and nothing new is placed there; the driver or its tool hangs",
          name, std::chrono::duration_cast<std::chrono::seconds>(patience).count()));
    } else if (error && error->code == ErrorCode::not_found && sample.devices.empty()) {
      snapshot.missing[kind] = fmt::format("{}: {}", name, error->to_string());
    } else if (error) {
      now.warnings.push_back(fmt::format(
          "{}: what its devices have and use is not known, and nothing new is placed there: {}",
          name, error->to_string()));
    }
    if (!now.devices.empty()) snapshot.began = std::min(snapshot.began, began);
    auto& all = snapshot.sample;
    std::move(now.devices.begin(), now.devices.end(), std::back_inserter(all.devices));
    std::move(now.processes.begin(), now.processes.end(), std::back_inserter(all.processes));
    std::move(now.warnings.begin(), now.warnings.end(), std::back_inserter(all.warnings));
  }
};

Sampler::Sampler(std::vector<std::unique_ptr<Vendor>> vendors, SamplerOptions options)
    : options_(options) {
  watches_.reserve(vendors.size());
  for (auto& vendor : vendors) {
    auto watch = std::make_shared<Watch>();
    watch->name = vendor->name();
    watch->kind = vendor->kind();
    watch->vendor = std::move(vendor);
    watches_.push_back(watch);
    // Not joined: it may never come back. It owns all that it touches.
    std::thread([watch, every = options.every] { watch->run(every); }).detach();
  }
}

Sampler::~Sampler() {
  for (const auto& watch : watches_) {
    const std::lock_guard lock(watch->mutex);
    watch->stop = true;
    watch->changed.notify_all();
  }
  const auto deadline = Clock::now() + options_.end;
  for (const auto& watch : watches_) {
    std::unique_lock lock(watch->mutex);
    watch->changed.wait_until(lock, deadline, [&] { return watch->ended; });
  }
}

void Sampler::wait_for_first(Duration limit) const {
  const auto deadline = Clock::now() + limit;
  for (const auto& watch : watches_) {
    std::unique_lock lock(watch->mutex);
    watch->changed.wait_until(lock, deadline, [&] { return watch->looked; });
  }
}

Snapshot Sampler::latest() const {
  Snapshot snapshot;
  for (const auto& watch : watches_) watch->add_to(snapshot, options_.patience);
  return snapshot;
}

void Sampler::look_soon() {
  for (const auto& watch : watches_) {
    const std::lock_guard lock(watch->mutex);
    if (watch->sample.devices.empty()) continue;
    watch->soon = true;
    watch->changed.notify_all();
  }
}

}  // namespace berth::worker::devices
