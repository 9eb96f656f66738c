// WorkerRegistry: what workers said last. Heartbeats, utilisation and progress live here, in memory
// only; the store gets transitions.
#pragma once

#include "base/clock.h"
#include "cluster/protocol.h"
#include "model/cluster_view.h"

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace berth::server {

// Thread-safe.
class WorkerRegistry {
 public:
  explicit WorkerRegistry(const Clock& clock) : clock_(clock) {}

  // Keeps the report, if it is not older than the last one. A registration starts a new count.
  void registered(const std::string& worker);
  bool accept(const cluster::WorkerReport& report);
  // The worker is one of ours no more.
  void forget(const std::string& worker);

  struct Latest {
    cluster::WorkerReport report;
    SteadyTime received;
  };
  // Of all that have spoken, by name.
  [[nodiscard]] std::map<std::string, std::vector<model::FilesStatus>> files() const;
  [[nodiscard]] std::map<std::string, cluster::WorkerReport> reports() const;
  [[nodiscard]] std::optional<Latest> find(const std::string& worker) const;
  // How long the worker has been silent; nullopt where it never spoke to this server.
  [[nodiscard]] std::optional<Duration> silence(const std::string& worker) const;
  // What the worker said last of an instance.
  [[nodiscard]] std::optional<cluster::InstanceReport> find_instance(
      const std::string& worker, const std::string& instance, std::uint64_t generation) const;

 private:
  const Clock& clock_;
  mutable std::mutex mutex_;
  std::map<std::string, Latest> latest_;
};

// Silent for longer, a worker is not ready any more.
inline constexpr Duration kWorkerSilence = std::chrono::seconds(20);

}  // namespace berth::server
