#include "server/reconcile.h"

#include "server/assignments.h"
#include "server/endings.h"
#include "server/gangs.h"
#include "server/instances.h"
#include "server/placed_on.h"
#include "server/placing.h"
#include "server/replicas.h"
#include "server/rollout.h"
#include "server/room.h"
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
    for (const auto& stored : state.models) models_.emplace(stored.name, stored.value);
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
    for (const auto& model : state_.models) roll_out(model);
    remove_models();
    decision_.drained = emptied_workers(view_, all_instances());
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

  void look_again(Duration after) {
    decision_.look_again = std::min(after, decision_.look_again.value_or(after));
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

  void remove(std::string_view kind, const std::string& name, store::Revision expected) {
    decision_.writes.push_back(
        {.kind = std::string(kind), .name = name, .data = std::nullopt, .expected = expected});
  }

  void remove_assignments(const std::string& instance) {
    for (const auto& assignment : state_.assignments) {
      if (assignment.value.instance != instance) continue;
      if (!unassigned_.insert(assignment.name).second) continue;
      remove(model::kAssignmentKind, assignment.name, assignment.revision);
    }
  }

  [[nodiscard]] std::vector<const Instance*> all_instances() const {
    std::vector<const Instance*> all(instances_.size());
    std::ranges::transform(instances_, all.begin(), [](const Working& one) { return &one.value; });
    return all;
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
    for (const Working* instance : live) instances.push_back(look_at(view_, instance->value));
    const std::size_t ending = count_old(model, true);
    if (ending == 0) find_room(model, instances);
    const auto plan = plan_replicas(model.value, instances, ending);
    for (const auto& ending_one : plan.endings) {
      Working& instance = *live[ending_one.index];
      if (!ending_one.serves_fewer.empty()) {
        decision_.events.push_back(
            note_fewer(models_.at(model.name), instance.name, ending_one.serves_fewer, state_.now));
        changed_models_.insert(model.name);
      }
      if (ending_one.at_once)
        stop(instance, ending_one.reason);
      else
        drain(instance, ending_one.reason);
    }
    for (std::size_t i = 0; i < plan.missing; ++i) create(model.value);
  }

  // Of other revisions, the instances that are ending, or those that are not.
  [[nodiscard]] std::size_t count_old(const Stored<model::Model>& model, bool ending) const {
    return static_cast<std::size_t>(std::ranges::count_if(instances_, [&](const Working& one) {
      return one.value.model == model.name &&
             one.value.model_generation != model.value.generation &&
             (one.value.state == InstanceState::stopping) == ending;
    }));
  }

  // Where a new instance waits, marks an old one whose end would give it a place.
  void find_room(const Stored<model::Model>& model, std::vector<LiveInstance>& live) const {
    if (model.value.deployment.update != model::UpdatePolicy::automatic) return;
    mark_room(live, {.model = model.value,
                     .observed = observed(model.name),
                     .backends = backends_,
                     .view = state_.view,
                     .instances = all_instances()});
  }

  void roll_out(const Stored<model::Model>& stored) {
    if (stored.value.deleting) return;
    RolloutFacts facts{.others = count_old(stored, false), .silent = is_any_unheard(state_)};
    for (const Working* instance : live_of(stored.name)) {
      const auto& value = instance->value;
      if (value.model_generation == stored.value.generation)
        facts.current.push_back(&value);
      else if (value.state == InstanceState::ready)
        ++facts.others_ready;
    }
    auto step = advance_rollout(models_.at(stored.name), facts, state_.now);
    if (step.changed) changed_models_.insert(stored.name);
    std::ranges::move(step.events, std::back_inserter(decision_.events));
    if (step.look_again) look_again(*step.look_again);
  }

  void end(Working& instance, const Ending& ending) {
    return ending.at_once ? stop(instance, ending.reason) : drain(instance, ending.reason);
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
    Working instance{.value = make_instance(model, random_.new_id(), state_.now), .changed = true};
    instance.name = instance.value.name;
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
    forget_place(instance.value);
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

  void end_stopping() {
    for (auto& instance : instances_) {
      if (instance.value.state != InstanceState::stopping || instance.changed) continue;
      const auto workers = workers_of(view_, instance.value);
      // Once the main member has answered its last requests, the others may go.
      if (instance.value.gang &&
          is_gone(state_, instance.value, instance.revision, workers.front(), true)) {
        remove_assignments(instance.name);
      }
      if (!is_gone(state_, instance.value, instance.revision)) continue;
      remove(model::kInstanceKind, instance.name, instance.revision);
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
                         instance.value.model_generation == model.generation &&
                         instance.value.state == InstanceState::pending;
      if (!waits) continue;
      auto placed = find_place(model);
      if (placed)
        take_place(instance, model, *std::move(placed));
      else
        wait(instance, std::move(placed).error());
    }
  }

  void wait(Working& instance, std::string reason) {
    if (instance.value.reason == reason) return;
    tell(store::EventLevel::warning, instance.name, "Waiting", reason);
    enter(instance, InstanceState::pending, std::move(reason));
  }

  [[nodiscard]] const model::Observation* observed(const std::string& model) const {
    const auto seen = state_.observations.find(model);
    return seen == state_.observations.end() ? nullptr : &seen->second;
  }

  [[nodiscard]] tl::expected<schedule::ScoredPlacement, std::string> find_place(
      const model::Model& model, std::span<const std::string> avoid = {}) const {
    return server::find_place(model, observed(model.deployment.name), backends_, view_, avoid);
  }

  void take_place(Working& instance, const model::Model& model, schedule::ScoredPlacement placed) {
    view_.apply(model.deployment.name, placed.placement);
    instance.value.placement = std::move(placed.placement);
    instance.value.serving = placed.serving;
    instance.value.warnings = std::move(placed.warnings);
    instance.value.engine_key = random_.new_key();
    enter(instance, InstanceState::scheduled,
          fmt::format("placed on {}", instance.value.placement->worker));
    instance.value.deadline = to_rfc3339(state_.now + kTakeUp);
    form_gang(instance.value, *backends_.find(model.backend), model.deployment, view_);
    for (const auto& assignment : assignments_of(instance.value, model)) {
      decision_.writes.push_back(
          {.kind = std::string(model::kAssignmentKind),
           .name = model::assignment_name(assignment.instance, assignment.generation,
                                          assignment.member),
           .data = store::to_data(assignment)});
    }
    tell(store::EventLevel::info, instance.name, "Scheduled", instance.value.reason);
  }

  // Begins what waits for its next attempt, and tells each member what became of the others.
  void run_gangs() {
    for (auto& instance : instances_) {
      if (!instance.value.gang || instance.value.state == InstanceState::stopping) continue;
      if (const auto left = pause_left(instance.value, state_.now); left > Duration::zero()) {
        look_again(*left);
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
      if (!in_use) remove(model::kModelKind, model.name, model.revision);
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
    for (const auto& stored : state_.models) {
      if (!changed_models_.contains(stored.name)) continue;
      auto& model = models_.at(stored.name);
      keep_edit_revision(model, stored.value, stored.revision);
      writes.push_back({.kind = std::string(model::kModelKind),
                        .name = stored.name,
                        .data = document_of(state_.model_documents, stored.name, model),
                        .expected = stored.revision});
    }
    std::move(decision_.writes.begin(), decision_.writes.end(), std::back_inserter(writes));
    decision_.writes = std::move(writes);
  }

  const ClusterState& state_;
  const backends::Registry& backends_;
  const Randomness& random_;
  model::ClusterView view_;
  std::vector<Working> instances_;
  std::map<std::string, model::Model> models_;  // with the changes of this pass
  std::set<std::string> changed_models_;
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
