#include "process/cpu_time.h"
#include "process/platform/process_info.h"

#include <unordered_map>
#include <vector>

#include <unistd.h>

namespace berth::process {

Result<Duration> cpu_time_of_tree(pid_t root) {
  std::unordered_map<pid_t, std::uint64_t> ticks;
  std::unordered_multimap<pid_t, pid_t> children;
  for (const auto& process : platform::all_processes()) {
    ticks.emplace(process.pid, process.cpu_ticks);
    children.emplace(process.parent, process.pid);
  }
  if (!ticks.contains(root)) return fail(ErrorCode::not_found, "there is no process {}", root);
  std::uint64_t total = 0;
  std::vector<pid_t> open{root};
  while (!open.empty()) {
    const pid_t pid = open.back();
    open.pop_back();
    // Taken out: processes read at different moments could form a ring.
    const auto entry = ticks.extract(pid);
    if (entry.empty()) continue;
    total += entry.mapped();
    const auto [begin, end] = children.equal_range(pid);
    for (auto child = begin; child != end; ++child) open.push_back(child->second);
  }
  const auto per_second = static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
  return Duration(total * 1000 / per_second);
}

}  // namespace berth::process
