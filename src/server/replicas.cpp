#include "server/replicas.h"

#include <algorithm>
#include <tuple>

namespace berth::server {
namespace {

using model::InstanceState;
using model::UpdatePolicy;

// The least useful at the end: those that do not serve, then the youngest.
bool is_more_useful(const model::Instance& a, const model::Instance& b) {
  const bool a_ready = a.state == InstanceState::ready;
  const bool b_ready = b.state == InstanceState::ready;
  if (a_ready != b_ready) return a_ready;
  return std::tie(a.created_at, a.name) < std::tie(b.created_at, b.name);
}

bool waits_for_room(const model::Instance& instance) {
  return instance.state == InstanceState::pending && !instance.reason.empty();
}

class Plan {
 public:
  Plan(const model::Model& model, std::span<const LiveInstance> live)
      : deployment_(model.deployment), live_(live) {
    for (std::size_t i = 0; i < live.size(); ++i) {
      if (live[i].value->model_generation != model.generation) {
        edited_.push_back(i);
      } else if (live[i].leaves) {
        leaving_.push_back(i);
      } else {
        current_.push_back(i);
      }
    }
  }

  ReplicaPlan make() {
    replace_old();
    scale_down();
    if (current_.size() < deployment_.replicas) {
      plan_.missing = deployment_.replicas - current_.size();
    }
    return std::move(plan_);
  }

 private:
  void end(std::size_t index, std::string reason) {
    plan_.endings.push_back(
        {.index = index, .at_once = deployment_.replicas == 0, .reason = std::move(reason)});
  }

  void replace_old() {
    const auto is_ready = [&](std::size_t i) {
      return live_[i].value->state == InstanceState::ready;
    };
    const auto waits = [&](std::size_t i) { return waits_for_room(*live_[i].value); };
    const auto ready =
        static_cast<std::size_t>(std::count_if(current_.begin(), current_.end(), is_ready));
    const auto waiting =
        static_cast<std::size_t>(std::count_if(current_.begin(), current_.end(), waits));
    const bool may_edit_for_waiting = deployment_.update == UpdatePolicy::automatic;
    std::size_t kept = kept_beside(ready + (may_edit_for_waiting ? waiting : 0));
    if (deployment_.update == UpdatePolicy::replace) kept = 0;
    for (std::size_t i = kept; i < edited_.size(); ++i) end(edited_[i], "the model was edited");
    const std::size_t edited_kept = std::min(kept, edited_.size());
    kept = kept_beside(ready + waiting);
    kept = kept > edited_kept ? kept - edited_kept : 0;
    for (std::size_t i = kept; i < leaving_.size(); ++i) {
      end(leaving_[i], fmt::format("its worker {} is drained", worker_of(leaving_[i])));
    }
  }

  // How many old ones stay for the sake of what the new ones do not serve yet.
  [[nodiscard]] std::size_t kept_beside(std::size_t replaced) const {
    return deployment_.replicas > replaced ? deployment_.replicas - replaced : 0;
  }

  void scale_down() {
    if (current_.size() <= deployment_.replicas) return;
    std::sort(current_.begin(), current_.end(), [&](std::size_t a, std::size_t b) {
      return is_more_useful(*live_[a].value, *live_[b].value);
    });
    for (std::size_t i = deployment_.replicas; i < current_.size(); ++i) {
      end(current_[i], "the model was scaled down");
    }
  }

  [[nodiscard]] std::string worker_of(std::size_t index) const {
    const auto& placement = live_[index].value->placement;
    return placement ? placement->worker : std::string();
  }

  const model::Deployment& deployment_;
  std::span<const LiveInstance> live_;
  std::vector<std::size_t> current_;
  std::vector<std::size_t> edited_;
  std::vector<std::size_t> leaving_;
  ReplicaPlan plan_;
};

}  // namespace

ReplicaPlan plan_replicas(const model::Model& model, std::span<const LiveInstance> live) {
  return Plan(model, live).make();
}

}  // namespace berth::server
