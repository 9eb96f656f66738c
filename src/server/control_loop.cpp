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
                         const backends::Registry& backends, const Clock& clock)
    : store_(store), workers_(workers), backends_(backends), clock_(clock) {}

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
      woken_.wait_for(lock, stop, kSweep, [this] { return poked_; });
      poked_ = false;
    }
    if (stop.stop_requested()) return;
    const auto pass = run_once();
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
  BERTH_TRY(const auto workers, store::list_as<model::Worker>(store_, model::kWorkerKind));
  bool wrote = false;
  for (const auto& worker : workers.items) {
    const auto silence = workers_.silence(worker.name);
    const bool speaks = silence && *silence < kWorkerSilence;
    const auto state = speaks ? model::WorkerState::ready : model::WorkerState::not_ready;
    if (worker.value.state == state) continue;
    const std::string reason = speaks    ? ""
                               : silence ? fmt::format("silent for {} s", silence->count() / 1000)
                                         : "has not been heard since the server started";
    BERTH_CHECK(store::update<model::Worker>(store_, model::kWorkerKind, worker.name,
                                             [&](model::Worker& value) {
                                               value.state = state;
                                               value.reason = reason;
                                             }));
    BERTH_CHECK(
        store_.append_event({.id = 0,
                             .time = clock_.system_now(),
                             .kind = std::string(model::kWorkerKind),
                             .name = worker.name,
                             .level = speaks ? store::EventLevel::info : store::EventLevel::warning,
                             .reason = speaks ? "Ready" : "NotReady",
                             .message = speaks ? "the worker reports" : reason}));
    wrote = true;
  }
  return wrote;
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
      const auto latest = workers_.find(instance.value.placement->worker);
      if (!latest) continue;
      for (const auto& report : latest->report.instances) {
        const bool serves = report.instance == instance.name && report.resident &&
                            report.state == model::InstanceState::ready;
        if (!serves) continue;
        const Sighting sighting{.model = model.value,
                                .instance = instance.value,
                                .build = build_of(latest->report.packs, *instance.value.placement),
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
  BERTH_TRY(auto models, store::list_as<model::Model>(store_, model::kModelKind));
  BERTH_TRY(auto instances, list_with_documents<model::Instance>(store_, model::kInstanceKind,
                                                                 state.instance_documents));
  BERTH_TRY(auto assignments, list_with_documents<model::Assignment>(store_, model::kAssignmentKind,
                                                                     state.assignment_documents));
  BERTH_TRY(const auto workers, store::list_as<model::Worker>(store_, model::kWorkerKind));
  state.models = std::move(models.items);
  state.instances = std::move(instances.items);
  state.assignments = std::move(assignments.items);
  for (const auto& worker : workers.items) {
    state.view.add(worker_view(worker.value, workers_));
    if (const auto latest = workers_.find(worker.name)) {
      auto& progress = state.progress[worker.name];
      progress.revision = latest->report.revision;
      for (const auto& instance : latest->report.instances) {
        progress.instances.push_back(instance.instance);
      }
    }
  }
  BERTH_CHECK(look_at_engines(state));
  if (onlooker_) onlooker_(state);
  const Randomness random{.new_id = [] { return random_id(5); },
                          .new_key = [] { return random_key(); }};
  Decision decision = reconcile(state, backends_, random);
  if (decision.writes.empty()) return judged;
  BERTH_CHECK(store_.commit(std::move(decision.writes)));
  for (auto& event : decision.events) {
    BERTH_CHECK(store_.append_event(std::move(event)));
  }
  return true;
}

}  // namespace berth::server
