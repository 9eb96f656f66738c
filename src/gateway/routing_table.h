// RoutingTable: which instances answer for a model, as a snapshot in memory. Requests flow while
// the store is slow or away: they only read the last snapshot.
#pragma once

#include "backends/backend.h"
#include "base/result.h"
#include "model/instance.h"
#include "model/worker.h"
#include "net/url.h"
#include "store/store.h"

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace berth::gateway {

// The way to an engine: straight where it is on this machine, else by its worker's proxy.
struct EngineWay {
  net::Endpoint endpoint;
  std::string prefix;  // of each path: "" or "/engines/NAME"
  std::string key;     // the engine's; by a proxy, empty: it knows the server by its certificate
  std::string worker;  // whose proxy it is; empty: straight to the engine

  friend bool operator==(const EngineWay&, const EngineWay&) = default;
};

// A running instance. Shared between snapshots, so that its count of requests goes on.
struct Target {
  std::string instance;
  std::uint64_t generation = 1;
  EngineWay way;
  model::Serving serving;
  backends::EngineApi api;
  std::atomic<std::uint32_t> in_flight = 0;
  std::atomic<std::uint64_t> last_turn = 0;  // when it was chosen last, as a count of all choices
};

struct ModelRoute {
  std::string name;
  std::string reason;  // why nothing is ready, for the person who asks
  std::uint32_t context = 0;
  std::int64_t created = 0;  // seconds since the epoch
  model::Category category = model::Category::llm;
  std::uint32_t embedding_length = 0;  // of the model's vectors; 0 = unknown
  bool nested_embeddings = false;      // their beginnings are embeddings too
  bool scores_are_probabilities = false;
  std::vector<std::shared_ptr<Target>> ready;
};

using Routes = std::map<std::string, ModelRoute, std::less<>>;

// What the store says, of which routes are made.
struct RouteSources {
  std::vector<model::Model> models;
  std::vector<model::Instance> instances;
  std::map<std::string, model::Worker, std::less<>> workers;
  bool always_by_proxy = false;  // engines of this machine too
};

// The routes of `sources`; a target of `before` that leads to the same engine is kept. Pure.
Routes make_routes(const RouteSources& sources, const backends::Registry& backends,
                   const Routes& before);

// Keeps itself up to date from the store on a thread of its own. Thread-safe.
class RoutingTable {
 public:
  // `always_by_proxy`: as in RouteSources.
  RoutingTable(store::Store& store, const backends::Registry& backends, bool always_by_proxy);
  ~RoutingTable();
  RoutingTable(const RoutingTable&) = delete;
  RoutingTable& operator=(const RoutingTable&) = delete;

  // The snapshot of this moment; never null.
  [[nodiscard]] std::shared_ptr<const Routes> routes() const { return std::atomic_load(&routes_); }

 private:
  void run(const std::stop_token& stop);
  Result<store::Revision> rebuild();

  store::Store& store_;
  const backends::Registry& backends_;
  bool always_by_proxy_;
  std::shared_ptr<const Routes> routes_;
  std::jthread thread_;
};

// One request on its way to a target; counts as in flight until destroyed. Move-only.
class Reservation {
 public:
  explicit Reservation(std::shared_ptr<Target> target) : target_(std::move(target)) {
    static std::atomic<std::uint64_t> turns = 0;
    target_->in_flight.fetch_add(1, std::memory_order_relaxed);
    target_->last_turn.store(turns.fetch_add(1, std::memory_order_relaxed) + 1,
                             std::memory_order_relaxed);
  }
  Reservation(Reservation&&) noexcept = default;
  Reservation& operator=(Reservation&&) = delete;
  Reservation(const Reservation&) = delete;
  Reservation& operator=(const Reservation&) = delete;
  ~Reservation() {
    if (target_) target_->in_flight.fetch_sub(1, std::memory_order_relaxed);
  }
  [[nodiscard]] const Target& operator*() const { return *target_; }
  [[nodiscard]] const Target* operator->() const { return target_.get(); }

 private:
  std::shared_ptr<Target> target_;
};

// Requests that may wait at one instance beyond its slots.
inline constexpr std::uint32_t kQueueBound = 128;

// The instance with the least load for its slots, `without` excepted (it has just failed). Fails
// with not_found for an unknown model, unavailable where nothing is ready, resource_exhausted where
// every queue is full.
Result<Reservation> choose_target(const Routes& routes, std::string_view model,
                                  std::string_view without = {});

}  // namespace berth::gateway
