// WorkerRegistry: what workers said last. Heartbeats, utilisation and progress live here, in memory
// only; the store gets transitions.
#pragma once

#include "base/clock.h"
#include "cluster/protocol.h"
#include "model/cluster_view.h"

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace berth::server {

// Thread-safe.
class WorkerRegistry {
 public:
  explicit WorkerRegistry(const Clock& clock) : clock_(clock) {}

  using PackList = std::shared_ptr<const std::vector<model::PackStatus>>;

  // What a report was.
  enum class Heard {
    older,    // than the last one: dropped
    unclear,  // it leaves out packs that nobody told: dropped
    routine,  // how much is used now, and nothing that anybody waits for
    news,
  };

  // A registration starts a new count of reports, and tells the worker's packs.
  void registered(const std::string& worker, std::vector<model::PackStatus> packs);
  Heard accept(cluster::WorkerReport report);
  // The worker is one of ours no more.
  void forget(const std::string& worker);

  // Of all that have spoken, by name.
  [[nodiscard]] std::map<std::string, std::vector<model::FilesStatus>> files() const;
  [[nodiscard]] std::map<std::string, cluster::WorkerReport> reports() const;
  // Without packs, as `reports`. Null where the worker has not reported since it registered.
  [[nodiscard]] std::shared_ptr<const cluster::WorkerReport> find(const std::string& worker) const;
  // What a worker told last; null where it never spoke to this server.
  [[nodiscard]] PackList packs(const std::string& worker) const;
  // When server and worker spoke last, which takes both ways: the earlier of the last report and,
  // while the server can not reach it, the last time that it could. nullopt where the worker never
  // spoke to this server.
  [[nodiscard]] std::optional<SteadyTime> heard(const std::string& worker) const;
  // Where each worker that reports can be reached, as it says.
  [[nodiscard]] std::map<std::string, std::string> addresses() const;
  // Whether the server could connect to the worker's address: why not, or empty. True: that is new.
  bool note_reach(const std::string& worker, const std::string& address,
                  const std::string& trouble);
  // Why the server can not reach a worker; empty where it can, as far as it knows.
  [[nodiscard]] std::string trouble(const std::string& worker) const;
  // Whether a worker has reported of late, be it reachable or not.
  [[nodiscard]] bool still_reports(const std::string& worker) const;
  // What the worker said last of a process of an instance.
  [[nodiscard]] std::optional<cluster::InstanceReport> find_instance(
      const std::string& worker, const std::string& instance, std::uint64_t generation,
      std::uint32_t member = 0) const;

 private:
  // Workers of one version have the same packs: what is equal is kept once.
  PackList share(std::vector<model::PackStatus> packs);

  const Clock& clock_;
  mutable std::mutex mutex_;
  struct Contact {
    SteadyTime heard;
    SteadyTime reached;        // last; at first, since it registered
    std::string trouble = {};  // why it can not be reached
    std::shared_ptr<const cluster::WorkerReport> report = nullptr;  // since it registered
    PackList packs = nullptr;
  };
  std::map<std::string, Contact> contacts_;
  std::map<std::string, std::weak_ptr<const std::vector<model::PackStatus>>> shared_;  // by text
};

// A report that comes so long after the one before is news: the worker was away.
inline constexpr Duration kLateReport = std::chrono::seconds(7);

}  // namespace berth::server
