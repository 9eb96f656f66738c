#include "process/process_table.h"

#include "process/platform/process_info.h"
#include "process/shim_spec.h"

#include <algorithm>
#include <charconv>
#include <csignal>
#include <map>
#include <set>
#include <thread>
#include <unordered_map>
#include <utility>

#include <unistd.h>

namespace berth::process {
namespace {

using platform::ProcessInfo;
constexpr Duration kRound{100};  // for what was killed to end, before we look again
constexpr Duration kPause{10};   // between two looks that found nothing to kill

using ProcessMap = std::unordered_map<pid_t, ProcessInfo>;

// The value of a variable in a NUL-separated environment.
std::optional<std::string_view> variable(std::string_view environment, std::string_view name) {
  while (!environment.empty()) {
    const std::string_view entry = environment.substr(0, environment.find('\0'));
    environment.remove_prefix(std::min(entry.size() + 1, environment.size()));
    if (entry.size() > name.size() && entry.starts_with(name) && entry[name.size()] == '=') {
      return entry.substr(name.size() + 1);
    }
  }
  return std::nullopt;
}

struct Tags {
  std::string instance;
  std::uint64_t generation = 0;
  bool shim = false;
};

// Nothing if the process does not carry `cluster`, or its environment is not ours to read.
std::optional<Tags> tags_of(pid_t pid, std::string_view cluster) {
  const auto environment = platform::process_environment(pid);
  if (!environment || variable(*environment, kClusterVariable) != cluster) return std::nullopt;
  Tags tags;
  tags.instance = variable(*environment, kInstanceVariable).value_or("");
  const std::string_view generation = variable(*environment, kGenerationVariable).value_or("");
  std::from_chars(generation.data(), generation.data() + generation.size(), tags.generation);
  tags.shim = variable(*environment, kShimVariable) == "1";
  return tags;
}

// Us and what is above us: never ours to list, whatever environment we were started from.
std::set<pid_t> own_line(const ProcessMap& processes) {
  std::set<pid_t> line;
  for (pid_t pid = ::getpid(); pid > 0 && line.insert(pid).second;) {
    const auto found = processes.find(pid);
    if (found == processes.end()) break;
    pid = found->second.parent;
  }
  return line;
}

class Lister {
 public:
  explicit Lister(std::string_view cluster) {
    for (ProcessInfo& process : platform::all_processes()) {
      if (!process.is_zombie()) processes_.emplace(process.pid, std::move(process));
    }
    own_ = own_line(processes_);
    for (const auto& [pid, process] : processes_) {
      if (own_.contains(pid)) continue;
      if (auto tags = tags_of(pid, cluster)) tags_.emplace(pid, std::move(*tags));
    }
  }

  [[nodiscard]] std::vector<TaggedProcess> list() const {
    std::vector<TaggedProcess> listed;
    for (const auto& [pid, process] : processes_) {
      if (auto entry = describe(process)) listed.push_back(std::move(*entry));
    }
    return listed;
  }

 private:
  // Walks up from `process`; nothing if neither it nor anything above it is tagged.
  std::optional<TaggedProcess> describe(const ProcessInfo& process) const {
    if (own_.contains(process.pid)) return std::nullopt;
    const Tags* nearest = nullptr;
    const ProcessInfo* topmost_shim = nullptr;
    const ProcessInfo* at = &process;
    // The number of steps is bounded: parents read at different moments could form a ring.
    for (std::size_t steps = 0; at != nullptr && steps <= processes_.size(); ++steps) {
      if (own_.contains(at->pid)) break;
      if (const auto tags = tags_.find(at->pid); tags != tags_.end()) {
        if (nearest == nullptr) nearest = &tags->second;
        // A shim's child has the shim's environment until it executes the engine: the topmost is
        // it.
        if (tags->second.shim) topmost_shim = at;
      }
      const auto parent = processes_.find(at->parent);
      at = parent == processes_.end() ? nullptr : &parent->second;
    }
    if (nearest == nullptr) return std::nullopt;
    TaggedProcess entry{.identity = {process.pid, process.start_time},
                        .parent = process.parent,
                        .instance = nearest->instance,
                        .generation = nearest->generation,
                        .name = process.name,
                        .is_shim = topmost_shim == &process};
    if (topmost_shim != nullptr) {
      entry.shim = ProcessIdentity{topmost_shim->pid, topmost_shim->start_time};
    }
    return entry;
  }

  ProcessMap processes_;
  std::unordered_map<pid_t, Tags> tags_;
  std::set<pid_t> own_;
};

std::vector<TaggedProcess> unowned(std::string_view tag, const KeepShim& keep) {
  std::vector<TaggedProcess> listed = list_tagged(tag);
  std::set<ProcessIdentity> kept;
  for (const TaggedProcess& process : listed) {
    if (process.is_shim && (!keep || keep(process))) kept.insert(process.identity);
  }
  std::erase_if(listed, [&kept](const TaggedProcess& process) {
    return process.shim && kept.contains(*process.shim);
  });
  return listed;
}

void wait_for_all(const std::vector<Pidfd>& processes, SteadyTime until) {
  for (const Pidfd& process : processes) {
    const auto left = std::chrono::ceil<Duration>(until - std::chrono::steady_clock::now());
    if (!process.wait(std::max(left, Duration(0)))) return;
  }
}

}  // namespace

std::vector<TaggedProcess> list_tagged(std::string_view tag) {
  if (tag.empty()) return {};
  return Lister(tag).list();
}

SweepResult sweep(std::string_view tag, const KeepShim& keep, Duration timeout) {
  const SteadyTime deadline = std::chrono::steady_clock::now() + timeout;
  std::map<ProcessIdentity, TaggedProcess> killed;
  std::vector<TaggedProcess> found;
  int clean_looks = 0;
  while (clean_looks < 2 && std::chrono::steady_clock::now() < deadline) {
    found = unowned(tag, keep);
    std::vector<Pidfd> dying;
    for (const TaggedProcess& process : found) {
      // Also if it is gone before our signal: the engine of a shim that we have just killed is.
      killed.emplace(process.identity, process);
      auto pidfd = Pidfd::open(process.identity);
      if (!pidfd || !pidfd->send(SIGKILL)) continue;
      dying.push_back(std::move(*pidfd));
    }
    clean_looks = found.empty() ? clean_looks + 1 : 0;
    wait_for_all(dying, std::min(deadline, std::chrono::steady_clock::now() + kRound));
    // A process in the middle of its exec shows no environment: it is found by the second look.
    if (dying.empty() && clean_looks < 2) std::this_thread::sleep_for(kPause);
  }
  SweepResult result;
  for (const TaggedProcess& left : found) killed.erase(left.identity);
  for (auto& [identity, process] : killed) result.killed.push_back(std::move(process));
  result.left = std::move(found);
  return result;
}

}  // namespace berth::process
