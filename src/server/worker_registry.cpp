#include "server/worker_registry.h"

namespace berth::server {

void WorkerRegistry::registered(const std::string& worker) {
  const std::scoped_lock lock(mutex_);
  latest_.erase(worker);
}

void WorkerRegistry::forget(const std::string& worker) { registered(worker); }

bool WorkerRegistry::accept(const cluster::WorkerReport& report) {
  const std::scoped_lock lock(mutex_);
  const auto found = latest_.find(report.worker);
  if (found != latest_.end() && found->second.report.sequence >= report.sequence) return false;
  latest_.insert_or_assign(report.worker, Latest{report, clock_.steady_now()});
  return true;
}

std::optional<WorkerRegistry::Latest> WorkerRegistry::find(const std::string& worker) const {
  const std::scoped_lock lock(mutex_);
  const auto found = latest_.find(worker);
  if (found == latest_.end()) return std::nullopt;
  return found->second;
}

std::optional<Duration> WorkerRegistry::silence(const std::string& worker) const {
  const std::scoped_lock lock(mutex_);
  const auto found = latest_.find(worker);
  if (found == latest_.end()) return std::nullopt;
  return std::chrono::duration_cast<Duration>(clock_.steady_now() - found->second.received);
}

std::optional<cluster::InstanceReport> WorkerRegistry::find_instance(
    const std::string& worker, const std::string& instance, std::uint64_t generation) const {
  const std::scoped_lock lock(mutex_);
  const auto found = latest_.find(worker);
  if (found == latest_.end()) return std::nullopt;
  for (const auto& report : found->second.report.instances) {
    if (report.instance == instance && report.generation == generation) return report;
  }
  return std::nullopt;
}

std::map<std::string, cluster::WorkerReport> WorkerRegistry::reports() const {
  const std::scoped_lock lock(mutex_);
  std::map<std::string, cluster::WorkerReport> reports;
  for (const auto& [worker, latest] : latest_) reports[worker] = latest.report;
  return reports;
}

std::map<std::string, std::vector<model::FilesStatus>> WorkerRegistry::files() const {
  const std::scoped_lock lock(mutex_);
  std::map<std::string, std::vector<model::FilesStatus>> files;
  for (const auto& [worker, latest] : latest_) files[worker] = latest.report.files;
  return files;
}

}  // namespace berth::server
