#include "server/reconcile.h"

#include "server/assignments.h"
#include "server/gangs.h"
#include "server/placed_on.h"
#include "server/placing.h"
#include "server/replicas.h"
#include "server/worker_view.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <span>

namespace berth::server {
namespace {

using model::Instance;
using model::InstanceState;
using store::Stored;

// A worker takes an assignment up at once; after this long the reason says that it does not.
constexpr std::chrono::seconds kTakeUp{60};
// On so many workers an instance is tried: what fails everywhere is the model's own fault.
constexpr std::size_t kMostTried = 3;

// One instance with the changes of this pass.
struct Working {
  std::string name;
  store::Revision revision = 0;  // 0: made in this pass
  Instance value;
  bool changed = false;
};

class Pass {
 public:
  Pass(const ClusterState& state, const backends::Registry& backends, const Randomness& random)
      : state_(state), backends_(backends), random_(random), view_(state.view) {
    for (const auto& stored : state.instances) {
      instances_.push_back({stored.name, stored.revision, stored.value});
    }
  }

  Decision run() {
    mark_unreachable();
    for (const auto& model : state_.models) count_replicas(model);
    stop_orphans();
    end_stopping();
    claim_placed();
    for (const auto& model : state_.models) move_lost(model.value);
    for (const auto& model : state_.models) move_failed(model.value);
    for (const auto& model : state_.models) place_pending(model.value);
    run_gangs();
    remove_models();
    find_drained();
    write_changes();
    return std::move(decision_);
  }

 private:
  void enter(Working& instance, InstanceState state, std::string reason) {
    instance.value.enter(state, std::move(reason), state_.now);
    instance.changed = true;
  }

  void tell(store::EventLevel level, std::string name, std::string reason, std::string message) {
    decision_.events.push_back({.id = 0,
                                .time = state_.now,
                                .kind = std::string(model::kInstanceKind),
                                .name = std::move(name),
                                .level = level,
                                .reason = std::move(reason),
                                .message = std::move(message)});
  }

  // Ends it now, requests under way or not.
  void stop(Working& instance, std::string reason) {
    tell(store::EventLevel::info, instance.name, "Stopping", reason);
    enter(instance, InstanceState::stopping, std::move(reason));
    remove_assignments(instance.name);
  }

  // Takes it out of the routes, and lets its worker end it once its requests are answered.
  void drain(Working& instance, std::string reason) {
    if (instance.value.state != InstanceState::ready) return stop(instance, std::move(reason));
    tell(store::EventLevel::info, instance.name, "Draining", reason);
    enter(instance, InstanceState::stopping, std::move(reason));
    for (const auto& stored : state_.assignments) {
      const bool is_main = stored.value.instance == instance.name && stored.value.member == 0;
      if (!is_main || stored.value.drain) continue;
      model::Assignment assignment = stored.value;
      assignment.drain = true;
      write_assignment(stored, assignment);
    }
  }

  // `value` over what is stored under `name`.
  template <class T>
  static json::object document_of(const std::map<std::string, json::object>& stored,
                                  const std::string& name, const T& value) {
    const auto found = stored.find(name);
    if (found == stored.end()) return store::to_data(value);
    json::object document = found->second;
    merge_json(document, value);
    return document;
  }

  void remove_assignments(const std::string& instance) {
    for (const auto& assignment : state_.assignments) {
      if (assignment.value.instance != instance) continue;
      if (!unassigned_.insert(assignment.name).second) continue;
      decision_.writes.push_back({.kind = std::string(model::kAssignmentKind),
                                  .name = assignment.name,
                                  .data = std::nullopt,
                                  .expected = assignment.revision});
    }
  }

  // Of the model's instances, those that still count.
  std::vector<Working*> live_of(const std::string& model) {
    std::vector<Working*> live;
    for (auto& instance : instances_) {
      if (instance.value.model == model && instance.value.state != InstanceState::stopping) {
        live.push_back(&instance);
      }
    }
    return live;
  }

  void count_replicas(const Stored<model::Model>& model) {
    const auto& deployment = model.value.deployment;
    const auto live = live_of(deployment.name);
    if (model.value.deleting) {
      for (Working* instance : live) stop(*instance, "the model was removed");
    }
    if (model.value.deleting || deployment.replicas == 0) hasten(deployment.name);
    if (model.value.deleting) return;
    std::vector<LiveInstance> instances;
    instances.reserve(live.size());
    for (const Working* instance : live) {
      instances.push_back({.value = &instance->value, .leaves = leaves(view_, instance->value)});
    }
    const auto plan = plan_replicas(model.value, instances);
    for (const auto& ending : plan.endings) {
      if (ending.at_once)
        stop(*live[ending.index], ending.reason);
      else
        drain(*live[ending.index], ending.reason);
    }
    for (std::size_t i = 0; i < plan.missing; ++i) create(model.value);
  }

  // Ends what is being drained: somebody wants the model to be gone.
  void hasten(const std::string& model) {
    for (const auto& instance : instances_) {
      const bool drains =
          instance.value.model == model && instance.value.state == InstanceState::stopping;
      if (drains) remove_assignments(instance.name);
    }
  }

  void create(const model::Model& model) {
    std::string base = model.deployment.name;
    std::replace(base.begin(), base.end(), '/', '-');
    Working instance;
    instance.name = base + "-" + random_.new_id();
    instance.value.name = instance.name;
    instance.value.model = model.deployment.name;
    instance.value.model_generation = model.generation;
    instance.value.created_at = to_rfc3339(state_.now);
    instance.value.state_since = instance.value.created_at;
    instance.changed = true;
    tell(store::EventLevel::info, instance.name, "Created", "waits for a place");
    instances_.push_back(std::move(instance));
  }

  void stop_orphans() {
    for (auto& instance : instances_) {
      const bool has_model =
          std::any_of(state_.models.begin(), state_.models.end(),
                      [&](const auto& model) { return model.name == instance.value.model; });
      if (has_model) continue;
      if (instance.value.state == InstanceState::stopping)
        remove_assignments(instance.name);
      else
        stop(instance, "its model is gone");
    }
  }

  // ---- workers that are silent, gone or emptied

  // What serves gets no new requests while nobody knows how its workers are.
  void mark_unreachable() {
    for (auto& instance : instances_) {
      if (!instance.value.placement || instance.value.is_over()) continue;
      if (const auto removed = removed_worker(view_, instance.value)) {
        lose_place(instance, fmt::format("its worker {} was removed", *removed));
        continue;
      }
      if (lose_members(instance.value, view_)) instance.changed = true;
      const auto* silent = silent_worker(view_, instance.value);
      if (silent == nullptr) continue;
      const std::string reason = fmt::format("its worker {}: {}", silent->name, silent->reason);
      if (instance.value.state != InstanceState::unreachable) {
        tell(store::EventLevel::warning, instance.name, "Unreachable", reason);
        enter(instance, InstanceState::unreachable, reason);
      } else if (lost_worker(view_, instance.value) == nullptr && instance.value.reason != reason) {
        enter(instance, InstanceState::unreachable, reason);  // more is known meanwhile
      }
    }
  }

  // It waits for a place anew; whatever still runs of it belongs to an older generation.
  void lose_place(Working& instance, std::string reason) {
    tell(store::EventLevel::warning, instance.name, "Moving", reason);
    remove_assignments(instance.name);
    auto& value = instance.value;
    ++value.generation;
    value.placement.reset();
    value.serving.reset();
    value.warnings.clear();
    value.host.clear();
    value.port = 0;
    value.pid.reset();
    value.attempt = 0;
    value.failures = 0;
    value.given_up_on.clear();
    value.gang.reset();
    value.members.clear();
    enter(instance, InstanceState::pending, "");
  }

  // Instances of lost workers go where there is room. Without room they stay: their worker may come
  // back, with the engine still running.
  void move_lost(const model::Model& model) {
    for (auto& instance : instances_) {
      const bool concerns = instance.value.model == model.deployment.name &&
                            instance.value.model_generation == model.generation &&
                            instance.value.state == InstanceState::unreachable;
      if (!concerns) continue;
      const auto* lost = lost_worker(view_, instance.value);
      if (lost == nullptr || leaves(view_, instance.value)) continue;  // else a new one replaces it
      const std::string& worker = lost->name;
      if (!state_.given_up.contains(worker)) {
        if (state_.held_until) {
          explain_stay(instance, worker,
                       fmt::format("nothing is moved until {}, since most workers are lost at once",
                                   to_rfc3339(*state_.held_until)));
        }
        continue;
      }
      auto placed = find_place(model);
      if (!placed) {
        explain_stay(instance, worker, "nothing else can take it: " + placed.error());
        continue;
      }
      lose_place(instance, fmt::format("its worker {} is lost", worker));
      take_place(instance, model, *std::move(placed));
    }
  }

  // What could not be started on its worker may start on another. Without room it stays, with its
  // log; so does a gang, of which nobody knows which worker is at fault.
  void move_failed(const model::Model& model) {
    if (model.deployment.restart.policy == model::RestartPolicy::never) return;
    for (auto& instance : instances_) {
      auto& value = instance.value;
      const bool concerns = value.model == model.deployment.name &&
                            value.model_generation == model.generation &&
                            value.state == InstanceState::failed && value.placement &&
                            !value.gang && value.given_up_on.size() + 1 < kMostTried;
      if (!concerns) continue;
      auto tried = value.given_up_on;
      tried.push_back(value.placement->worker);
      auto placed = find_place(model, tried);
      if (!placed) continue;
      lose_place(instance,
                 fmt::format("it failed too often on {}: {}", tried.back(), value.reason));
      value.given_up_on = std::move(tried);
      take_place(instance, model, *std::move(placed));
    }
  }

  void explain_stay(Working& instance, const std::string& worker, const std::string& why) {
    std::string reason = fmt::format("its worker {} is lost; {}", worker, why);
    if (instance.value.reason == reason) return;
    enter(instance, InstanceState::unreachable, std::move(reason));
  }

  // Workers that are to be emptied and have nothing left.
  void find_drained() {
    for (const auto& [name, worker] : view_.workers()) {
      if (worker.scheduling != model::Scheduling::draining) continue;
      const bool in_use = std::ranges::any_of(instances_, [&](const Working& one) {
        return std::ranges::count(workers_of(view_, one.value), &worker) > 0;
      });
      if (!in_use) decision_.drained.push_back(name);
    }
  }

  // Whether nothing of the instance is left on a worker, as that says. One that is lost ends it
  // when it comes back, for want of an assignment. `only_main`: the other members do not count.
  [[nodiscard]] bool is_gone(const Working& instance, const model::WorkerView* worker,
                             bool only_main = false) const {
    if (worker == nullptr || worker->state == model::WorkerState::lost) return true;
    const auto found = state_.progress.find(worker->name);
    if (found == state_.progress.end() || found->second.revision < instance.revision) return false;
    return std::ranges::none_of(found->second.members, [&](const auto& member) {
      return member.first == instance.name && (member.second == 0 || !only_main);
    });
  }

  [[nodiscard]] bool is_gone(const Working& instance) const {
    return std::ranges::all_of(workers_of(view_, instance.value),
                               [&](const auto* worker) { return is_gone(instance, worker); });
  }

  void end_stopping() {
    for (auto& instance : instances_) {
      if (instance.value.state != InstanceState::stopping || instance.changed) continue;
      const auto workers = workers_of(view_, instance.value);
      // Once the main member has answered its last requests, the others may go.
      if (instance.value.gang && is_gone(instance, workers.front(), true)) {
        remove_assignments(instance.name);
      }
      if (!is_gone(instance)) continue;
      decision_.writes.push_back({.kind = std::string(model::kInstanceKind),
                                  .name = instance.name,
                                  .data = std::nullopt,
                                  .expected = instance.revision});
      remove_assignments(instance.name);  // after a drain it is still there
      tell(store::EventLevel::info, instance.name, "Removed", "its engine has ended");
      removed_.push_back(instance.name);
    }
    std::erase_if(instances_, [&](const Working& instance) {
      return std::find(removed_.begin(), removed_.end(), instance.name) != removed_.end();
    });
  }

  void claim_placed() {
    for (const auto& instance : instances_) {
      if (!holds_claims(instance.value)) continue;
      view_.apply(instance.value.model, *instance.value.placement,
                  model::InstanceKey{instance.name, instance.value.generation});
    }
  }

  void place_pending(const model::Model& model) {
    for (auto& instance : instances_) {
      const bool waits = instance.value.model == model.deployment.name &&
                         instance.value.state == InstanceState::pending;
      if (waits) place(instance, model);
    }
  }

  void wait(Working& instance, std::string reason) {
    if (instance.value.reason == reason) return;
    tell(store::EventLevel::warning, instance.name, "Waiting", reason);
    enter(instance, InstanceState::pending, std::move(reason));
  }

  [[nodiscard]] tl::expected<schedule::ScoredPlacement, std::string> find_place(
      const model::Model& model, std::span<const std::string> avoid = {}) const {
    const auto seen = state_.observations.find(model.deployment.name);
    return server::find_place(model, seen == state_.observations.end() ? nullptr : &seen->second,
                              backends_, view_, avoid);
  }

  void place(Working& instance, const model::Model& model) {
    auto placed = find_place(model);
    if (!placed) return wait(instance, std::move(placed).error());
    take_place(instance, model, *std::move(placed));
  }

  void take_place(Working& instance, const model::Model& model, schedule::ScoredPlacement placed) {
    view_.apply(model.deployment.name, placed.placement);
    assign(instance, model, std::move(placed));
  }

  void assign(Working& instance, const model::Model& model, schedule::ScoredPlacement placed) {
    instance.value.placement = std::move(placed.placement);
    instance.value.serving = placed.serving;
    instance.value.warnings = std::move(placed.warnings);
    instance.value.engine_key = random_.new_key();
    enter(instance, InstanceState::scheduled,
          fmt::format("placed on {}", instance.value.placement->worker));
    instance.value.deadline = to_rfc3339(state_.now + kTakeUp);
    form_gang(instance.value, *backends_.find(model.backend), model.deployment, view_);
    for (const auto& assignment : assignments_of(instance.value, model)) {
      add_assignment(assignment);
    }
    tell(store::EventLevel::info, instance.name, "Scheduled", instance.value.reason);
  }

  void add_assignment(const model::Assignment& assignment) {
    decision_.writes.push_back({.kind = std::string(model::kAssignmentKind),
                                .name = model::assignment_name(
                                    assignment.instance, assignment.generation, assignment.member),
                                .data = store::to_data(assignment)});
  }

  // Begins what waits for its next attempt, and tells each member what became of the others.
  void run_gangs() {
    for (auto& instance : instances_) {
      if (!instance.value.gang || instance.value.state == InstanceState::stopping) continue;
      if (const auto left = pause_left(instance.value, state_.now); left > Duration::zero()) {
        decision_.look_again = std::min(*left, decision_.look_again.value_or(*left));
      }
      if (begin_again(instance.value, state_.now)) instance.changed = true;
      for (const auto& stored : state_.assignments) {
        const auto& known = stored.value;
        const bool is_its = known.instance == instance.name &&
                            known.generation == instance.value.generation &&
                            !unassigned_.contains(stored.name);
        if (is_its && known.gang != instance.value.gang) tell_member(stored, *instance.value.gang);
      }
    }
  }

  void tell_member(const Stored<model::Assignment>& stored, const model::Gang& gang) {
    model::Assignment assignment = stored.value;
    assignment.gang = gang;
    write_assignment(stored, assignment);
  }

  void write_assignment(const Stored<model::Assignment>& stored,
                        const model::Assignment& assignment) {
    decision_.writes.push_back(
        {.kind = std::string(model::kAssignmentKind),
         .name = stored.name,
         .data = document_of(state_.assignment_documents, stored.name, assignment),
         .expected = stored.revision});
  }

  void remove_models() {
    for (const auto& model : state_.models) {
      if (!model.value.deleting) continue;
      const bool in_use =
          std::any_of(instances_.begin(), instances_.end(),
                      [&](const Working& instance) { return instance.value.model == model.name; });
      if (in_use) continue;
      decision_.writes.push_back({.kind = std::string(model::kModelKind),
                                  .name = model.name,
                                  .data = std::nullopt,
                                  .expected = model.revision});
    }
  }

  // Instances first, so that a worker which has seen the removal of an assignment has a revision
  // that is past the one of the stopping instance (see is_gone).
  void write_changes() {
    std::vector<store::Write> writes;
    for (const auto& instance : instances_) {
      if (!instance.changed) continue;
      writes.push_back(
          {.kind = std::string(model::kInstanceKind),
           .name = instance.name,
           .data = document_of(state_.instance_documents, instance.name, instance.value),
           .expected = instance.revision});
    }
    std::move(decision_.writes.begin(), decision_.writes.end(), std::back_inserter(writes));
    decision_.writes = std::move(writes);
  }

  const ClusterState& state_;
  const backends::Registry& backends_;
  const Randomness& random_;
  model::ClusterView view_;
  std::vector<Working> instances_;
  std::vector<std::string> removed_;
  std::set<std::string> unassigned_;  // assignments that this pass removes
  Decision decision_;
};

}  // namespace

Decision reconcile(const ClusterState& state, const backends::Registry& backends,
                   const Randomness& random) {
  return Pass(state, backends, random).run();
}

}  // namespace berth::server
