#include "server/worker_registry.h"

#include <algorithm>

namespace berth::server {

void WorkerRegistry::registered(const std::string& worker) {
  const std::scoped_lock lock(mutex_);
  const SteadyTime now = clock_.steady_now();
  contacts_[worker] = {.heard = now, .reached = now, .report = std::nullopt};
}

void WorkerRegistry::forget(const std::string& worker) {
  const std::scoped_lock lock(mutex_);
  contacts_.erase(worker);
}

bool WorkerRegistry::accept(const cluster::WorkerReport& report) {
  const std::scoped_lock lock(mutex_);
  const SteadyTime now = clock_.steady_now();
  auto& contact =
      contacts_.try_emplace(report.worker, Contact{.heard = now, .reached = now}).first->second;
  if (contact.report && contact.report->sequence >= report.sequence) return false;
  contact.heard = now;
  contact.report = report;
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
  const Contact& contact = found->second;
  return contact.trouble.empty() ? contact.heard : std::min(contact.heard, contact.reached);
}

std::map<std::string, std::string> WorkerRegistry::addresses() const {
  const std::scoped_lock lock(mutex_);
  std::map<std::string, std::string> addresses;
  for (const auto& [worker, contact] : contacts_) {
    const bool told = contact.report && !contact.report->address.empty();
    if (told) addresses[worker] = contact.report->address;
  }
  return addresses;
}

bool WorkerRegistry::note_reach(const std::string& worker, const std::string& address,
                                const std::string& trouble) {
  const std::scoped_lock lock(mutex_);
  const auto found = contacts_.find(worker);
  if (found == contacts_.end() || !found->second.report) return false;
  Contact& contact = found->second;
  if (contact.report->address != address) return false;  // it has moved meanwhile
  if (trouble.empty()) contact.reached = clock_.steady_now();
  const bool is_new = contact.trouble.empty() != trouble.empty();
  contact.trouble = trouble;
  return is_new;
}

std::string WorkerRegistry::trouble(const std::string& worker) const {
  const std::scoped_lock lock(mutex_);
  const auto found = contacts_.find(worker);
  return found == contacts_.end() ? std::string() : found->second.trouble;
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
