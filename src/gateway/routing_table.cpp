#include "gateway/routing_table.h"

#include "backends/pooling_models.h"
#include "base/log.h"
#include "store/typed.h"
#include "store/watch.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

namespace berth::gateway {
namespace {

constexpr std::chrono::seconds kRetry{1};
constexpr std::chrono::seconds kSweep{30};

// Seconds since the epoch of "2026-11-22T10:15:30.123Z"; 0 where the text is none.
std::int64_t to_epoch(const std::string& rfc3339) {
  const auto time = parse_rfc3339(rfc3339);
  return time ? std::chrono::system_clock::to_time_t(*time) : 0;
}

// How the gateway reaches an engine; nullopt where its worker says no way.
std::optional<EngineWay> find_way(const RouteSources& sources, const model::Instance& instance) {
  const auto worker =
      instance.placement ? sources.workers.find(instance.placement->worker) : sources.workers.end();
  const bool known = worker != sources.workers.end();
  if (!sources.always_by_proxy && (!known || worker->second.local)) {
    return EngineWay{.endpoint = {instance.host, instance.port},
                     .prefix = "",
                     .key = instance.engine_key,
                     .worker = ""};
  }
  if (!known) return std::nullopt;
  auto proxy = net::parse_endpoint(worker->second.address);
  if (!proxy || proxy->port == 0) return std::nullopt;
  const std::string name = model::assignment_name(instance.name, instance.generation, 0);
  return EngineWay{.endpoint = *std::move(proxy),
                   .prefix = "/engines/" + net::percent_encode(name),
                   .key = "",
                   .worker = worker->second.name};
}

std::shared_ptr<Target> find_target(const Routes& routes, const model::Instance& instance,
                                    const EngineWay& way) {
  const auto route = routes.find(instance.model);
  if (route == routes.end()) return nullptr;
  for (const auto& target : route->second.ready) {
    const bool same = target->instance == instance.name &&
                      target->generation == instance.generation && target->way == way;
    if (same) return target;
  }
  return nullptr;
}

std::shared_ptr<Target> make_target(const model::Instance& instance, EngineWay way,
                                    backends::EngineApi api) {
  auto target = std::make_shared<Target>();
  target->instance = instance.name;
  target->generation = instance.generation;
  target->way = std::move(way);
  target->serving = instance.serving.value_or(model::Serving{});
  target->api = api;
  return target;
}

template <class T>
Result<std::vector<T>> values_of(store::Store& store, std::string_view kind,
                                 store::Revision& revision) {
  BERTH_TRY(auto stored, store::list_as<T>(store, kind));
  revision = std::min(revision, stored.revision);
  std::vector<T> values;
  values.reserve(stored.items.size());
  for (auto& item : stored.items) values.push_back(std::move(item.value));
  return values;
}

std::vector<std::string> watched_kinds() {
  return {std::string(model::kModelKind), std::string(model::kInstanceKind),
          std::string(model::kWorkerKind)};
}

}  // namespace

Routes make_routes(const RouteSources& sources, const backends::Registry& backends,
                   const Routes& before) {
  Routes routes;
  std::map<std::string_view, backends::EngineApi> apis;
  for (const auto& model : sources.models) {
    if (model.deleting) continue;
    const auto& name = model.deployment.name;
    if (const auto* backend = backends.find(model.backend)) apis[name] = backend->descriptor().api;
    routes[name] = {
        .name = name,
        .reason = model.deployment.replicas == 0 ? "it is scaled to 0" : "it has no instance yet",
        .created = to_epoch(model.created_at),
        .category = model.profile.category,
        .embedding_length = model.profile.embedding_length,
        .nested_embeddings = backends::has_nested_embeddings(model.profile),
        .scores_are_probabilities = backends::scores_are_probabilities(model.profile)};
  }
  for (const auto& instance : sources.instances) {
    const auto route = routes.find(instance.model);
    if (route == routes.end()) continue;
    if (instance.state != model::InstanceState::ready || instance.port == 0) {
      route->second.reason =
          fmt::format("its instance {} is {}: {}", instance.name, enum_name(instance.state),
                      instance.reason.empty() ? "not placed yet" : instance.reason);
      continue;
    }
    auto way = find_way(sources, instance);
    if (!way) {
      route->second.reason =
          fmt::format("the worker of {} tells no address of its proxy", instance.name);
      continue;
    }
    auto target = find_target(before, instance, *way);
    if (!target) target = make_target(instance, *std::move(way), apis[instance.model]);
    route->second.context = target->serving.context;
    route->second.ready.push_back(std::move(target));
  }
  return routes;
}

RoutingTable::RoutingTable(store::Store& store, const backends::Registry& backends,
                           bool always_by_proxy)
    : store_(store),
      backends_(backends),
      always_by_proxy_(always_by_proxy),
      routes_(std::make_shared<const Routes>()) {
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

RoutingTable::~RoutingTable() = default;

Result<store::Revision> RoutingTable::rebuild() {
  // The oldest revision of the lists: watching from it loses nothing.
  store::Revision revision = std::numeric_limits<store::Revision>::max();
  RouteSources sources{.always_by_proxy = always_by_proxy_};
  BERTH_TRY(sources.models, values_of<model::Model>(store_, model::kModelKind, revision));
  BERTH_TRY(sources.instances, values_of<model::Instance>(store_, model::kInstanceKind, revision));
  // Those that have instances: of thousands of workers, few may.
  for (const auto& instance : sources.instances) {
    if (!instance.placement || sources.workers.contains(instance.placement->worker)) continue;
    auto worker =
        store::get_as<model::Worker>(store_, model::kWorkerKind, instance.placement->worker);
    if (!worker && worker.error().code != ErrorCode::not_found) return fail(worker.error());
    if (worker) sources.workers.emplace(worker->name, std::move(worker->value));
  }
  auto made = std::make_shared<const Routes>(make_routes(sources, backends_, *routes()));
  std::atomic_store(&routes_, std::move(made));
  return revision;
}

void RoutingTable::run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    auto revision = rebuild();
    if (!revision) {
      // The routes stay as they were, and requests go on.
      log_error_sparingly(
          fmt::format("routes are not up to date: {}", revision.error().to_string()));
    }
    const auto watch =
        store_.watch(watched_kinds(),
                     // Never woken by what has happened already: the pause below is kept.
                     revision.value_or(~store::Revision{0}), {});
    const std::stop_callback interrupt(stop, [&watch] { watch->interrupt(); });
    const auto pause = revision ? std::chrono::seconds(kSweep) : kRetry;
    watch->wait_until(real_clock().steady_now() + pause);
  }
}

Result<Reservation> choose_target(const Routes& routes, std::string_view model,
                                  std::string_view without) {
  const auto route = routes.find(model);
  if (route == routes.end()) {
    return fail(make_error(ErrorCode::not_found,
                           "there is no model named \"{}\"; GET /v1/models lists them", model)
                    .with_field("model"));
  }
  // The least busy one; among equals, the one whose last turn is longest ago.
  const auto load = [](const Target& target) {
    return std::pair(static_cast<double>(target.in_flight.load(std::memory_order_relaxed)) /
                         std::max(1U, target.serving.slots),
                     target.last_turn.load(std::memory_order_relaxed));
  };
  std::shared_ptr<Target> best;
  for (const auto& target : route->second.ready) {
    if (target->instance == without) continue;
    if (!best || load(*target) < load(*best)) best = target;
  }
  if (!best) {
    return fail(ErrorCode::unavailable, "the model \"{}\" is not ready: {}", model,
                without.empty() ? route->second.reason : "its engine does not answer");
  }
  if (best->in_flight.load(std::memory_order_relaxed) >= best->serving.slots + kQueueBound) {
    return fail(ErrorCode::resource_exhausted,
                "the model \"{}\" has too many requests waiting; try again later", model);
  }
  return Reservation(std::move(best));
}

}  // namespace berth::gateway
