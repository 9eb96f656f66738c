#include "server/worker_registry.h"

#include <algorithm>

namespace berth::server {
namespace {

constexpr std::chrono::seconds kOfLate{10};  // two reports

// Whether the control loop would decide alike, but for how much memory is in use.
bool says_the_same(const cluster::WorkerReport& before, const cluster::WorkerReport& now) {
  const auto same_instance = [](const cluster::InstanceReport& a,
                                const cluster::InstanceReport& b) {
    return a.instance == b.instance && a.generation == b.generation && a.member == b.member &&
           a.state == b.state && a.attempt == b.attempt && a.ports == b.ports && a.pid == b.pid &&
           a.resident.has_value() == b.resident.has_value();
  };
  const auto same_device = [](const model::Device& a, const model::Device& b) {
    return a.id == b.id && a.memory == b.memory && a.measured == b.measured;
  };
  return before.revision == now.revision && before.address == now.address &&
         std::ranges::equal(before.instances, now.instances, same_instance) &&
         std::ranges::equal(before.devices, now.devices, same_device);
}

}  // namespace

void WorkerRegistry::registered(const std::string& worker, std::vector<model::PackStatus> packs) {
  const std::scoped_lock lock(mutex_);
  const SteadyTime now = clock_.steady_now();
  contacts_[worker] = {.heard = now, .reached = now, .packs = share(std::move(packs))};
}

void WorkerRegistry::forget(const std::string& worker) {
  const std::scoped_lock lock(mutex_);
  contacts_.erase(worker);
}

WorkerRegistry::Heard WorkerRegistry::accept(cluster::WorkerReport report) {
  const std::scoped_lock lock(mutex_);
  const auto found = contacts_.find(report.worker);
  if (found == contacts_.end() && report.packs_as_before) return Heard::unclear;
  const SteadyTime now = clock_.steady_now();
  Contact& contact =
      found != contacts_.end()
          ? found->second
          : contacts_.emplace(report.worker, Contact{.heard = now, .reached = now}).first->second;
  const auto before = contact.report;
  if (before && before->sequence >= report.sequence) return Heard::older;
  const bool in_time = now - contact.heard < kLateReport;
  const auto packs = contact.packs;
  if (!report.packs_as_before) contact.packs = share(std::move(report.packs));
  report.packs.clear();
  contact.heard = now;
  contact.report = std::make_shared<const cluster::WorkerReport>(std::move(report));
  const bool is_routine =
      before && in_time && packs == contact.packs && says_the_same(*before, *contact.report);
  return is_routine ? Heard::routine : Heard::news;
}

WorkerRegistry::PackList WorkerRegistry::share(std::vector<model::PackStatus> packs) {
  auto& shared = shared_[to_text(to_json(packs))];
  if (auto found = shared.lock()) return found;
  auto made = std::make_shared<const std::vector<model::PackStatus>>(std::move(packs));
  shared = made;
  std::erase_if(shared_, [](const auto& entry) { return entry.second.expired(); });
  return made;
}

std::shared_ptr<const cluster::WorkerReport> WorkerRegistry::find(const std::string& worker) const {
  const std::scoped_lock lock(mutex_);
  const auto found = contacts_.find(worker);
  return found == contacts_.end() ? nullptr : found->second.report;
}

WorkerRegistry::PackList WorkerRegistry::packs(const std::string& worker) const {
  const std::scoped_lock lock(mutex_);
  const auto found = contacts_.find(worker);
  return found == contacts_.end() ? nullptr : found->second.packs;
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

bool WorkerRegistry::still_reports(const std::string& worker) const {
  const std::scoped_lock lock(mutex_);
  const auto found = contacts_.find(worker);
  return found != contacts_.end() && clock_.steady_now() - found->second.heard < kOfLate;
}

std::optional<cluster::InstanceReport> WorkerRegistry::find_instance(const std::string& worker,
                                                                     const std::string& instance,
                                                                     std::uint64_t generation,
                                                                     std::uint32_t member) const {
  const std::scoped_lock lock(mutex_);
  const auto found = contacts_.find(worker);
  if (found == contacts_.end() || !found->second.report) return std::nullopt;
  for (const auto& report : found->second.report->instances) {
    const bool is_it =
        report.instance == instance && report.generation == generation && report.member == member;
    if (is_it) return report;
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
