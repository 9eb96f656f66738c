#include "server/worker_registry.h"

namespace berth::server {

void WorkerRegistry::registered(const std::string& worker) {
  const std::scoped_lock lock(mutex_);
  contacts_[worker] = {.heard = clock_.steady_now(), .report = std::nullopt};
}

void WorkerRegistry::forget(const std::string& worker) {
  const std::scoped_lock lock(mutex_);
  contacts_.erase(worker);
}

bool WorkerRegistry::accept(const cluster::WorkerReport& report) {
  const std::scoped_lock lock(mutex_);
  auto& contact = contacts_[report.worker];
  if (contact.report && contact.report->sequence >= report.sequence) return false;
  contact = {.heard = clock_.steady_now(), .report = report};
  return true;
}

std::optional<cluster::WorkerReport> WorkerRegistry::find(const std::string& worker) const {
  const std::scoped_lock lock(mutex_);
  const auto found = contacts_.find(worker);
  return found == contacts_.end() ? std::nullopt : found->second.report;
}

std::optional<SteadyTime> WorkerRegistry::heard(const std::string& worker) const {
  const std::scoped_lock lock(mutex_);
  const auto found = contacts_.find(worker);
  if (found == contacts_.end()) return std::nullopt;
  return found->second.heard;
}

std::optional<cluster::InstanceReport> WorkerRegistry::find_instance(
    const std::string& worker, const std::string& instance, std::uint64_t generation) const {
  const std::scoped_lock lock(mutex_);
  const auto found = contacts_.find(worker);
  if (found == contacts_.end() || !found->second.report) return std::nullopt;
  for (const auto& report : found->second.report->instances) {
    if (report.instance == instance && report.generation == generation) return report;
  }
  return std::nullopt;
}

std::map<std::string, cluster::WorkerReport> WorkerRegistry::reports() const {
  const std::scoped_lock lock(mutex_);
  std::map<std::string, cluster::WorkerReport> reports;
  for (const auto& [worker, contact] : contacts_) {
    if (contact.report) reports[worker] = *contact.report;
  }
  return reports;
}

std::map<std::string, std::vector<model::FilesStatus>> WorkerRegistry::files() const {
  const std::scoped_lock lock(mutex_);
  std::map<std::string, std::vector<model::FilesStatus>> files;
  for (const auto& [worker, contact] : contacts_) {
    if (contact.report) files[worker] = contact.report->files;
  }
  return files;
}

}  // namespace berth::server
