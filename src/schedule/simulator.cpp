#include "schedule/simulator.h"

#include "schedule/rejection.h"

#include <algorithm>
#include <cmath>
#include <queue>
#include <set>
#include <tuple>

namespace berth::schedule {
namespace {

bool is_host(const model::DeviceView& view) { return view.device.kind == model::DeviceKind::cpu; }

// Takes one use of that size from a device.
void take_back(model::DeviceView& view, Bytes claim) {
  const auto found = std::ranges::find_if(view.instances, [&](const model::InstanceUse& use) {
    return use.claim == claim && use.used == 0_B;
  });
  if (found != view.instances.end()) view.instances.erase(found);
}

// The opposite of ClusterView::apply on one worker.
void take_back(model::ClusterView& cluster, const std::string& name,
               const std::vector<model::DeviceClaim>& claims, const std::string* model) {
  const auto* found = cluster.find(name);
  if (found == nullptr) return;
  model::WorkerView worker = *found;
  for (const auto& claim : claims) {
    const auto* device = worker.find_device(claim.device);
    const bool shared = device != nullptr && device->device.unified;
    for (auto& view : worker.devices) {
      if (view.device.id == claim.device || (shared && is_host(view))) {
        take_back(view, claim.total());
      }
    }
  }
  if (model != nullptr && --worker.instances[*model] == 0) worker.instances.erase(*model);
  cluster.add(std::move(worker));
}

void take_back(model::ClusterView& cluster, const std::string& model,
               const model::Placement& placement) {
  take_back(cluster, placement.worker, placement.claim.devices, &model);
  for (const auto& part : placement.subordinates) {
    take_back(cluster, part.worker, part.devices, nullptr);
  }
}

// What all devices, or machines, have together.
struct Amounts {
  Bytes memory;
  Bytes claimed;

  [[nodiscard]] double part() const {
    return memory.count == 0
               ? 0
               : static_cast<double>(claimed.count) / static_cast<double>(memory.count);
  }
};

Amounts amounts_of(const model::ClusterView& cluster, bool hosts) {
  Amounts amounts;
  for (const auto& [name, worker] : cluster.workers()) {
    for (const auto& view : worker.devices) {
      if (is_host(view) != hosts) continue;
      amounts.memory += view.device.memory;
      amounts.claimed += view.claimed();
    }
  }
  return amounts;
}

double fragmentation_of(const model::ClusterView& cluster) {
  Bytes free;
  Bytes shared;
  for (const auto& [name, worker] : cluster.workers()) {
    for (const auto& view : worker.devices) {
      if (is_host(view)) continue;
      free += view.free();
      if (!view.instances.empty()) shared += view.free();
    }
  }
  if (free.count == 0) return 0;
  return static_cast<double>(shared.count) / static_cast<double>(free.count);
}

// The value that `part` of all do not exceed: nearest rank.
Duration percentile(const std::vector<Duration>& sorted, double part) {
  if (sorted.empty()) return Duration(0);
  const auto rank = static_cast<std::size_t>(std::ceil(part * static_cast<double>(sorted.size())));
  return sorted[std::max<std::size_t>(rank, 1) - 1];
}

class Run {
 public:
  Run(const Workload& workload, model::ClusterView cluster, Duration interval,
      const Onlooker& onlooker)
      : workload_(workload),
        cluster_(std::move(cluster)),
        interval_(std::max(interval, Duration(1))),
        onlooker_(onlooker),
        devices_(amounts_of(cluster_, false)),
        hosts_(amounts_of(cluster_, true)) {
    has_devices_ = devices_.memory.count != 0;
  }

  Simulation run() {
    for (const auto& arrival : workload_.arrivals) {
      result_.instances.push_back(
          {.model = workload_.models[arrival.model].deployment.name, .arrived = arrival.at});
    }
    placements_.resize(workload_.arrivals.size());
    while (next_ < workload_.arrivals.size() || !leaving_.empty()) {
      move_to(next_moment());
      release();
      arrive();
      place_waiting();
      result_.peak_claimed = std::max(result_.peak_claimed, claimed().part());
      if (onlooker_) onlooker_(now_, cluster_);
    }
    finish();
    return std::move(result_);
  }

 private:
  using Leaving = std::pair<Duration, std::size_t>;  // when, and which instance

  [[nodiscard]] const Amounts& claimed() const { return has_devices_ ? devices_ : hosts_; }

  [[nodiscard]] Duration next_moment() const {
    if (leaving_.empty()) return workload_.arrivals[next_].at;
    if (next_ == workload_.arrivals.size()) return leaving_.top().first;
    return std::min(workload_.arrivals[next_].at, leaving_.top().first);
  }

  // Time passes, and with it the moments of samples.
  void move_to(Duration moment) {
    moment = std::max(moment, now_);
    while (sample_at_ < moment) {
      sample(sample_at_);
      sample_at_ += interval_;
    }
    claimed_time_ += claimed().part() * static_cast<double>((moment - now_).count());
    now_ = moment;
  }

  void sample(Duration at) {
    result_.samples.push_back({.at = at,
                               .running = running_,
                               .waiting = waiting_.size(),
                               .claimed = claimed().part(),
                               .host_claimed = hosts_.part(),
                               .fragmented = fragmentation_of(cluster_)});
  }

  void release() {
    while (!leaving_.empty() && leaving_.top().first <= now_) {
      const auto index = leaving_.top().second;
      leaving_.pop();
      count(*placements_[index], false);
      take_back(cluster_, result_.instances[index].model, *placements_[index]);
      placements_[index].reset();
      result_.instances[index].left = now_;
      --running_;
      full_.clear();
    }
  }

  void arrive() {
    while (next_ < workload_.arrivals.size() && workload_.arrivals[next_].at <= now_) {
      waiting_.push_back(next_++);
    }
  }

  // Another instance of a model that has no place has none either, until one leaves.
  void place_waiting() {
    std::erase_if(waiting_, [&](std::size_t index) {
      const auto model = workload_.arrivals[index].model;
      if (full_.contains(model)) return false;
      if (place_one(index)) return true;
      full_.insert(model);
      return false;
    });
  }

  bool place_one(std::size_t index) {
    const auto& arrival = workload_.arrivals[index];
    const auto& model = workload_.models[arrival.model];
    auto placed =
        place({model.deployment, model.profile, *model.backend, model.parameters}, cluster_);
    if (!placed) {
      result_.reasons[model.deployment.name] = explain(placed.error());
      return false;
    }
    auto& instance = result_.instances[index];
    instance.placed = now_;
    instance.worker = placed->placement.worker;
    instance.stage = placed->stage;
    for (const auto& claim : placed->placement.claim.devices) {
      instance.devices.push_back(claim.device);
    }
    ++result_.stages[std::string(enum_name(placed->stage))];
    ++running_;
    cluster_.apply(model.deployment.name, placed->placement);
    placements_[index] = std::move(placed->placement);
    count(*placements_[index], true);
    if (arrival.stays) leaving_.emplace(now_ + *arrival.stays, index);
    return true;
  }

  void count(const model::Placement& placement, bool placed) {
    count(placement.worker, placement.claim.devices, placed);
    for (const auto& part : placement.subordinates) count(part.worker, part.devices, placed);
  }

  void count(const std::string& worker, const std::vector<model::DeviceClaim>& claims,
             bool placed) {
    const auto* view = cluster_.find(worker);
    if (view == nullptr) return;
    const auto add = [&](Amounts& amounts, Bytes size) {
      if (placed)
        amounts.claimed += size;
      else
        amounts.claimed -= size;
    };
    for (const auto& claim : claims) {
      const auto* device = view->find_device(claim.device);
      if (device == nullptr) continue;
      if (!is_host(*device)) add(devices_, claim.total());
      if (is_host(*device) || device->device.unified) add(hosts_, claim.total());
    }
  }

  void finish() {
    while (sample_at_ < now_) {
      sample(sample_at_);
      sample_at_ += interval_;
    }
    sample(now_);
    result_.ended = now_;
    result_.arrived = result_.instances.size();
    result_.waiting = waiting_.size();
    result_.placed = result_.arrived - result_.waiting;
    const auto whole = static_cast<double>(now_.count());
    result_.mean_claimed = whole == 0 ? claimed().part() : claimed_time_ / whole;
    std::vector<Duration> waits;
    std::set<std::string> waiting;
    for (const auto& instance : result_.instances) {
      if (instance.placed) {
        waits.push_back(*instance.placed - instance.arrived);
      } else {
        waiting.insert(instance.model);
      }
    }
    std::ranges::sort(waits);
    result_.waits = {.p50 = percentile(waits, 0.5),
                     .p99 = percentile(waits, 0.99),
                     .max = waits.empty() ? Duration(0) : waits.back()};
    std::erase_if(result_.reasons,
                  [&](const auto& reason) { return !waiting.contains(reason.first); });
  }

  const Workload& workload_;
  model::ClusterView cluster_;
  Duration interval_;
  const Onlooker& onlooker_;
  Amounts devices_;
  Amounts hosts_;
  bool has_devices_ = false;
  Duration now_{0};
  Duration sample_at_{0};
  double claimed_time_ = 0;  // milliseconds
  std::size_t next_ = 0;     // arrival
  std::uint64_t running_ = 0;
  std::vector<std::size_t> waiting_;
  std::set<std::size_t> full_;  // models without a place
  std::vector<std::optional<model::Placement>> placements_;
  std::priority_queue<Leaving, std::vector<Leaving>, std::greater<>> leaving_;
  Simulation result_;
};

}  // namespace

Simulation simulate(const Workload& workload, model::ClusterView cluster, Duration interval,
                    const Onlooker& onlooker) {
  return Run(workload, std::move(cluster), interval, onlooker).run();
}

}  // namespace berth::schedule
