#include "gateway/routing_table.h"

#include "base/log.h"
#include "store/typed.h"
#include "store/watch.h"

#include <algorithm>
#include <utility>

namespace berth::gateway {
namespace {

constexpr std::chrono::seconds kRetry{1};
constexpr std::chrono::seconds kSweep{30};

// Seconds since the epoch of "2026-11-22T10:15:30.123Z"; 0 where the text is none.
std::int64_t to_epoch(const std::string& rfc3339) {
  std::tm parts{};
  if (::strptime(rfc3339.c_str(), "%Y-%m-%dT%H:%M:%S", &parts) == nullptr) return 0;
  return ::timegm(&parts);
}

std::shared_ptr<Target> find_target(const Routes& routes, const model::Instance& instance,
                                    const net::Endpoint& engine) {
  const auto route = routes.find(instance.model);
  if (route == routes.end()) return nullptr;
  for (const auto& target : route->second.ready) {
    const bool same = target->instance == instance.name &&
                      target->generation == instance.generation && target->engine == engine;
    if (same) return target;
  }
  return nullptr;
}

std::shared_ptr<Target> make_target(const model::Instance& instance, net::Endpoint engine,
                                    backends::EngineApi api) {
  auto target = std::make_shared<Target>();
  target->instance = instance.name;
  target->generation = instance.generation;
  target->engine = std::move(engine);
  target->engine_key = instance.engine_key;
  target->serving = instance.serving.value_or(model::Serving{});
  target->api = api;
  return target;
}

}  // namespace

RoutingTable::RoutingTable(store::Store& store, const backends::Registry& backends)
    : store_(store), backends_(backends), routes_(std::make_shared<const Routes>()) {
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

RoutingTable::~RoutingTable() = default;

Result<store::Revision> RoutingTable::rebuild() {
  BERTH_TRY(const auto models, store::list_as<model::Model>(store_, model::kModelKind));
  BERTH_TRY(const auto instances, store::list_as<model::Instance>(store_, model::kInstanceKind));
  auto routes = std::make_shared<Routes>();
  const auto before = this->routes();
  std::map<std::string_view, backends::EngineApi> apis;
  for (const auto& model : models.items) {
    if (model.value.deleting) continue;
    if (const auto* backend = backends_.find(model.value.backend)) {
      apis[model.name] = backend->descriptor().api;
    }
    auto& route = (*routes)[model.name];
    route.name = model.name;
    route.created = to_epoch(model.value.created_at);
    route.reason =
        model.value.deployment.replicas == 0 ? "it is scaled to 0" : "it has no instance yet";
  }
  for (const auto& item : instances.items) {
    const auto& instance = item.value;
    const auto route = routes->find(instance.model);
    if (route == routes->end()) continue;
    if (instance.state != model::InstanceState::ready || instance.port == 0) {
      route->second.reason =
          fmt::format("its instance {} is {}: {}", instance.name, enum_name(instance.state),
                      instance.reason.empty() ? "not placed yet" : instance.reason);
      continue;
    }
    net::Endpoint engine{instance.host, instance.port};
    auto target = find_target(*before, instance, engine);
    if (!target) target = make_target(instance, std::move(engine), apis[instance.model]);
    route->second.context = target->serving.context;
    route->second.ready.push_back(std::move(target));
  }
  std::atomic_store(&routes_, std::shared_ptr<const Routes>(std::move(routes)));
  return models.revision;
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
        store_.watch({std::string(model::kModelKind), std::string(model::kInstanceKind)},
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
