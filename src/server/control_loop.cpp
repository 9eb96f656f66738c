#include "server/control_loop.h"

#include "base/ids.h"
#include "base/log.h"
#include "server/observations.h"
#include "server/reconcile.h"
#include "server/worker_view.h"
#include "store/typed.h"
#include "store/watch.h"

#include <algorithm>

namespace berth::server {
namespace {

constexpr std::chrono::seconds kSweep{5};  // looks around even if nothing woke it
constexpr std::chrono::seconds kRetry{1};  // after a pass that failed

// Empty where the worker does not have the pack any more.
std::string build_of(const std::vector<model::PackStatus>& packs,
                     const model::Placement& placement) {
  const auto found = std::ranges::find_if(
      packs, [&](const model::PackStatus& status) { return status.pack.name == placement.pack; });
  return found == packs.end() ? std::string() : found->pack.build;
}

// Removes the observations that are the longest without news, where there are many.
Result<void> make_room(store::Store& store) {
  BERTH_TRY(auto seen, store::list_as<model::Observation>(store, model::kObservationKind));
  if (seen.items.size() < kMostObservations) return {};
  const auto oldest = std::ranges::min_element(seen.items, {}, [](const auto& item) {
    return item.value.layouts.empty() ? std::string() : item.value.layouts.back().at;
  });
  const auto removed = store.remove(model::kObservationKind, oldest->name);
  if (!removed && removed.error().code != ErrorCode::not_found) return fail(removed.error());
  return {};
}

template <class T>
Result<store::StoredList<T>> list_with_documents(store::Store& store, std::string_view kind,
                                                 std::map<std::string, json::object>& documents) {
  BERTH_TRY(auto listing, store.list(kind));
  for (const auto& document : listing.documents) documents[document.name] = document.data;
  return store::to_stored<T>(std::move(listing));
}

}  // namespace

ControlLoop::ControlLoop(store::Store& store, WorkerRegistry& workers,
                         const backends::Registry& backends, const Clock& clock,
                         HealthPolicy health)
    : store_(store),
      workers_(workers),
      backends_(backends),
      clock_(clock),
      documents_(store),
      health_(health) {}

ControlLoop::~ControlLoop() {
  thread_.request_stop();
  woken_.notify_all();
}

void ControlLoop::start() {
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

void ControlLoop::poke() {
  {
    const std::scoped_lock lock(mutex_);
    poked_ = true;
  }
  woken_.notify_all();
}

void ControlLoop::run(const std::stop_token& stop) {
  const auto watch =
      store_.watch({std::string(model::kModelKind), std::string(model::kInstanceKind),
                    std::string(model::kWorkerKind)},
                   0, [this](store::Revision) { poke(); });
  while (!stop.stop_requested()) {
    {
      std::unique_lock lock(mutex_);
      const Duration most = std::min<Duration>(look_again_, kSweep);
      woken_.wait_for(lock, stop, health_.next_look(most), [this] { return poked_; });
      poked_ = false;
    }
    if (stop.stop_requested()) return;
    const SteadyTime began = clock_.steady_now();
    const auto pass = run_once();
    {
      // In a large cluster a pass takes long: what comes meanwhile shares the next one, so that the
      // loop never takes more than half of a core.
      const auto taken = clock_.steady_now() - began;
      std::unique_lock lock(mutex_);
      woken_.wait_for(lock, stop, taken, [] { return false; });
    }
    if (pass || pass.error().code == ErrorCode::conflict) {
      if (!pass) poke();  // somebody else wrote meanwhile; look again
      continue;
    }
    log_error_sparingly(
        fmt::format("the control loop could not finish a pass: {}", pass.error().to_string()));
    std::unique_lock lock(mutex_);
    woken_.wait_for(lock, stop, kRetry, [] { return false; });
    poked_ = true;
  }
}

Result<bool> ControlLoop::judge_workers() {
  BERTH_TRY(const auto* workers, documents_.now());
  std::vector<WorkerHealth::Seen> seen;
  seen.reserve(workers->size());
  for (const auto& [name, worker] : *workers) {
    seen.push_back({.name = name,
                    .state = worker.state,
                    .heard = workers_.heard(name),
                    .reports = workers_.find(name) != nullptr});
  }
  const bool was_held = health_.hold_left().has_value();
  const auto verdicts = health_.look(seen, clock_.steady_now());
  hold_left_ = health_.hold_left().value_or(Duration::zero()).count();
  BERTH_CHECK(note_hold(was_held));
  given_up_.clear();
  std::map<model::WorkerState, std::size_t> counts;
  bool wrote = false;
  for (std::size_t i = 0; i < verdicts.size(); ++i) {
    ++counts[verdicts[i].state];
    if (verdicts[i].given_up) given_up_.insert(verdicts[i].name);
    if (seen[i].state == verdicts[i].state) continue;
    BERTH_CHECK(note_worker(verdicts[i]));
    wrote = true;
  }
  const std::scoped_lock lock(mutex_);
  worker_counts_ = std::move(counts);
  return wrote;
}

std::map<model::WorkerState, std::size_t> ControlLoop::worker_counts() const {
  const std::scoped_lock lock(mutex_);
  return worker_counts_;
}

Result<void> ControlLoop::note_worker(const WorkerHealth::Verdict& verdict) {
  const bool speaks = verdict.state == model::WorkerState::ready;
  std::string reason;
  const std::string trouble = workers_.trouble(verdict.name);
  if (!speaks && !trouble.empty() && workers_.still_reports(verdict.name)) {
    reason = fmt::format("it reports, but this server can not reach it: {}", trouble);
  } else if (!speaks && verdict.heard) {
    reason = "not heard since " + to_rfc3339(clock_.system_now() - verdict.silence);
  } else if (!speaks) {
    reason = "has not been heard since the server started";
  }
  const auto known = store::update<model::Worker>(store_, model::kWorkerKind, verdict.name,
                                                  [&](model::Worker& value) {
                                                    value.state = verdict.state;
                                                    value.reason = reason;
                                                  });
  if (!known && known.error().code == ErrorCode::not_found) return {};  // removed meanwhile
  if (!known) return fail(known.error());
  switch (verdict.state) {
    case model::WorkerState::ready:
      return tell(model::kWorkerKind, verdict.name, store::EventLevel::info, "Ready",
                  "the worker reports");
    case model::WorkerState::not_ready:
      return tell(model::kWorkerKind, verdict.name, store::EventLevel::warning, "NotReady", reason);
    case model::WorkerState::suspected:
      return tell(model::kWorkerKind, verdict.name, store::EventLevel::warning, "Suspected",
                  reason + "; it gets no new requests");
    case model::WorkerState::lost:
      break;
  }
  return tell(model::kWorkerKind, verdict.name, store::EventLevel::error, "Lost", reason);
}

Result<void> ControlLoop::note_hold(bool was_held) {
  const auto left = health_.hold_left();
  if (was_held == left.has_value()) return {};
  held_until_.reset();
  if (!left) {
    return tell("cluster", "workers", store::EventLevel::warning, "MassLossHoldEnded",
                "instances of workers that are still lost are placed elsewhere now");
  }
  held_until_ = clock_.system_now() + *left;
  const auto share = health_.hold_for();
  return tell("cluster", "workers", store::EventLevel::error, "MassLossHold",
              fmt::format("{} of {} workers were lost at about the same time: nothing is moved for "
                          "{}; is it the network?",
                          share.gone, share.all, duration_text(*left)));
}

Result<void> ControlLoop::note_drained(const std::vector<std::string>& workers) {
  for (const auto& name : workers) {
    const auto known =
        store::update<model::Worker>(store_, model::kWorkerKind, name, [](model::Worker& worker) {
          if (worker.scheduling != model::Scheduling::draining) return false;
          worker.scheduling = model::Scheduling::drained;
          return true;
        });
    if (!known && known.error().code == ErrorCode::not_found) continue;
    if (!known) return fail(known.error());
    BERTH_CHECK(tell(model::kWorkerKind, name, store::EventLevel::info, "Drained",
                     "no instance is left on it; nothing is placed there until it is uncordoned"));
  }
  return {};
}

Result<void> ControlLoop::tell(std::string_view kind, std::string name, store::EventLevel level,
                               std::string reason, std::string message) {
  return store_.append_event({.id = 0,
                              .time = clock_.system_now(),
                              .kind = std::string(kind),
                              .name = std::move(name),
                              .level = level,
                              .reason = std::move(reason),
                              .message = std::move(message)});
}

Result<void> ControlLoop::look_at_engines(ClusterState& state) {
  for (const auto& model : state.models) {
    const auto name = observation_name(model.value);
    auto stored = store::get_as<model::Observation>(store_, model::kObservationKind, name);
    if (!stored && stored.error().code != ErrorCode::not_found) return fail(stored.error());
    model::Observation known = stored ? std::move(stored->value) : model::Observation{};
    bool is_new = false;
    for (const auto& instance : state.instances) {
      if (instance.value.model != model.name || !instance.value.placement ||
          instance.value.model_generation != model.value.generation) {
        continue;
      }
      if (instance.value.gang) continue;  // a claim is of all its processes together
      const auto latest = workers_.find(instance.value.placement->worker);
      const auto packs = workers_.packs(instance.value.placement->worker);
      if (!latest || !packs) continue;
      for (const auto& report : latest->instances) {
        const bool serves = report.instance == instance.name && report.resident &&
                            report.state == model::InstanceState::ready;
        if (!serves) continue;
        const Sighting sighting{.model = model.value,
                                .instance = instance.value,
                                .build = build_of(*packs, *instance.value.placement),
                                .resident = *report.resident};
        is_new = note_sighting(sighting, to_rfc3339(state.now), known) || is_new;
      }
    }
    if (is_new) {
      if (!stored) BERTH_CHECK(make_room(store_));
      BERTH_CHECK(store_.commit({{.kind = std::string(model::kObservationKind),
                                  .name = name,
                                  .data = store::to_data(known),
                                  .expected = stored ? stored->revision : 0}}));
    }
    if (!known.layouts.empty()) state.observations[model.name] = std::move(known);
  }
  return {};
}

Result<bool> ControlLoop::run_once() {
  BERTH_TRY(const bool judged, judge_workers());
  ClusterState state;
  state.now = clock_.system_now();
  BERTH_TRY(auto models,
            list_with_documents<model::Model>(store_, model::kModelKind, state.model_documents));
  BERTH_TRY(auto instances, list_with_documents<model::Instance>(store_, model::kInstanceKind,
                                                                 state.instance_documents));
  BERTH_TRY(auto assignments, list_with_documents<model::Assignment>(store_, model::kAssignmentKind,
                                                                     state.assignment_documents));
  BERTH_TRY(const auto* workers, documents_.now());
  state.models = std::move(models.items);
  state.instances = std::move(instances.items);
  state.assignments = std::move(assignments.items);
  for (const auto& [name, worker] : *workers) {
    state.view.add(worker_view(worker, workers_));
    if (const auto latest = workers_.find(name)) {
      auto& progress = state.progress[name];
      progress.revision = latest->revision;
      for (const auto& instance : latest->instances) {
        progress.members.emplace_back(instance.instance, instance.member);
      }
    }
  }
  state.given_up = given_up_;
  state.held_until = held_until_;
  BERTH_CHECK(look_at_engines(state));
  if (onlooker_) onlooker_(state);
  const Randomness random{.new_id = [] { return random_id(5); },
                          .new_key = [] { return random_key(); }};
  Decision decision = reconcile(state, backends_, random);
  look_again_ = decision.look_again.value_or(Duration::max());
  if (decision.writes.empty()) {
    BERTH_CHECK(note_drained(decision.drained));
    return judged;
  }
  BERTH_CHECK(store_.commit(std::move(decision.writes)));
  for (auto& event : decision.events) {
    BERTH_CHECK(store_.append_event(std::move(event)));
  }
  return true;
}

}  // namespace berth::server
