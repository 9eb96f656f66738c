#include "server/replicas.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace berth::server {
namespace {

using model::InstanceState;
using model::UpdatePolicy;

// From the least to the most that an instance can be on its way to serving.
int step_of(InstanceState state) {
  switch (state) {
    case InstanceState::stopping:
    case InstanceState::failed:
      return 0;
    case InstanceState::pending:
    case InstanceState::restarting:
      return 1;
    case InstanceState::ready:
      return 3;
    default:
      return 2;
  }
}

// Of its layers, those that devices compute: 0 to 1.
double share_on_devices(const model::Instance& instance) {
  if (!instance.placement) return 0;
  const auto& claim = instance.placement->claim;
  if (claim.layers && claim.layers->total != 0) {
    return static_cast<double>(claim.layers->on_devices) / claim.layers->total;
  }
  const auto is_device = [](const model::DeviceClaim& one) { return one.device != "cpu"; };
  return std::ranges::any_of(claim.devices, is_device) ? 1 : 0;
}

bool is_overcommitted(const model::Instance& instance) {
  return instance.placement && instance.placement->overcommit;
}

bool waits_for_room(const model::Instance& instance) {
  return instance.state == InstanceState::pending && !instance.reason.empty();
}

// Neither serves nor will.
bool is_useless(const model::Instance& instance) {
  return instance.state == InstanceState::pending || instance.state == InstanceState::failed;
}

class Plan {
 public:
  Plan(const model::Model& model, std::span<const LiveInstance> live, std::size_t ending)
      : deployment_(model.deployment), live_(live), ending_(ending) {
    for (std::size_t i = 0; i < live.size(); ++i) {
      if (is_ready(i)) ++all_ready_;
      if (live[i].value->model_generation != model.generation) {
        edited_.push_back(i);
      } else if (live[i].leaves) {
        leaving_.push_back(i);
      } else {
        current_.push_back(i);
      }
    }
    for (auto* indices : {&current_, &edited_}) {
      std::ranges::sort(*indices, [&](std::size_t a, std::size_t b) {
        return is_more_useful(live_[a], live_[b]);
      });
    }
    ready_ = count(&Plan::is_ready);
    waiting_ = count(&Plan::waits);
  }

  ReplicaPlan make() {
    const std::size_t before = edited_.size() + ending_;
    end_edited();
    end_leaving();
    scale_down();
    plan_.missing = count_missing(before);
    return std::move(plan_);
  }

 private:
  [[nodiscard]] bool is_ready(std::size_t i) const {
    return live_[i].value->state == InstanceState::ready;
  }
  [[nodiscard]] bool waits(std::size_t i) const { return waits_for_room(*live_[i].value); }
  [[nodiscard]] std::size_t count(bool (Plan::*condition)(std::size_t) const) const {
    return static_cast<std::size_t>(
        std::ranges::count_if(current_, [&](std::size_t i) { return (this->*condition)(i); }));
  }

  void end(std::size_t index, std::string reason, std::string serves_fewer = {}) {
    plan_.endings.push_back({.index = index,
                             .at_once = deployment_.replicas == 0,
                             .reason = std::move(reason),
                             .serves_fewer = std::move(serves_fewer)});
  }

  // Ends old ones that no rule keeps, then at most one more for the sake of a new one.
  void end_edited() {
    const bool replaces = deployment_.update == UpdatePolicy::replace;
    const std::size_t kept = kept_beside(ready_);
    std::vector<std::size_t> stay;
    for (const std::size_t i : edited_) {
      const bool goes = is_useless(*live_[i].value) || (replaces && !is_ready(i));
      if (goes || stay.size() == kept)
        end(i, "the model was edited");
      else
        stay.push_back(i);
    }
    edited_ = std::move(stay);
    end_for_a_new_one();
  }

  void end_for_a_new_one() {
    if (ending_ != 0) return;
    const bool replaces = deployment_.update == UpdatePolicy::replace;
    const bool makes_room = deployment_.update == UpdatePolicy::automatic && waiting_ != 0;
    if (!replaces && !makes_room) return;
    const std::string why = replaces ? "as its update policy has it" : "there is no room for both";
    for (std::size_t n = edited_.size(); n-- > 0;) {
      const std::size_t i = edited_[n];
      const bool may_go = !is_ready(i) || all_ready_ >= deployment_.replicas;
      if (!may_go || (makes_room && !live_[i].makes_room)) continue;
      end(i, "the model was edited, and " + why, is_ready(i) ? why : "");
      edited_.erase(edited_.begin() + static_cast<std::ptrdiff_t>(n));
      return;
    }
  }

  void end_leaving() {
    const std::size_t kept = kept_beside(ready_ + waiting_);
    for (std::size_t i = kept > edited_.size() ? kept - edited_.size() : 0; i < leaving_.size();
         ++i) {
      end(leaving_[i], fmt::format("its worker {} is drained", worker_of(leaving_[i])));
    }
  }

  // How many old ones stay for the sake of what the new ones do not serve yet.
  [[nodiscard]] std::size_t kept_beside(std::size_t replaced) const {
    return deployment_.replicas > replaced ? deployment_.replicas - replaced : 0;
  }

  void scale_down() {
    for (std::size_t i = deployment_.replicas; i < current_.size(); ++i) {
      end(current_[i], "the model was scaled down");
    }
  }

  // `before`: instances of other revisions, those that end in this pass or ended before included.
  [[nodiscard]] std::size_t count_missing(std::size_t before) const {
    const std::size_t missing = kept_beside(current_.size());
    if (deployment_.update == UpdatePolicy::replace) {
      return std::min(missing, kept_beside(current_.size() + before));
    }
    if (edited_.empty()) return missing;
    return std::min<std::size_t>(missing, ready_ == current_.size() ? 1 : 0);
  }

  [[nodiscard]] std::string worker_of(std::size_t index) const {
    const auto& placement = live_[index].value->placement;
    return placement ? placement->worker : std::string();
  }

  const model::Deployment& deployment_;
  std::span<const LiveInstance> live_;
  std::size_t ending_;
  std::vector<std::size_t> current_;  // the most useful first
  std::vector<std::size_t> edited_;   // so too
  std::vector<std::size_t> leaving_;
  std::size_t ready_ = 0;      // of the current ones
  std::size_t waiting_ = 0;    // of them
  std::size_t all_ready_ = 0;  // of all
  ReplicaPlan plan_;
};

}  // namespace

bool is_more_useful(const LiveInstance& a, const LiveInstance& b) {
  const auto rank = [](const LiveInstance& one) {
    return std::tuple(-step_of(one.value->state), one.hindered, is_overcommitted(*one.value),
                      -share_on_devices(*one.value));
  };
  const auto of_a = rank(a);
  const auto of_b = rank(b);
  if (of_a != of_b) return of_a < of_b;
  return std::tie(a.value->created_at, a.value->name) <
         std::tie(b.value->created_at, b.value->name);
}

ReplicaPlan plan_replicas(const model::Model& model, std::span<const LiveInstance> live,
                          std::size_t ending) {
  return Plan(model, live, ending).make();
}

}  // namespace berth::server
