#include "process/memory_usage.h"
#include "process/platform/process_info.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace berth::process {
namespace {

// The figure of a line such as "RssAnon:\t    1234 kB" in /proc/PID/status (proc(5)); 0 if there is
// none, as for a kernel thread or a zombie.
Bytes field(std::string_view text, std::string_view name) {
  const std::size_t at = text.find(name);
  if (at == std::string_view::npos) return {};
  text.remove_prefix(at + name.size());
  text.remove_prefix(std::min(text.find_first_not_of("\t "), text.size()));
  std::uint64_t kibibytes = 0;
  std::from_chars(text.data(), text.data() + text.size(), kibibytes);
  return Bytes{kibibytes << 10};
}

}  // namespace

Result<MemoryUsage> memory_usage(pid_t pid) {
  const auto text = platform::read_small_file(fmt::format("/proc/{}/status", pid).c_str());
  if (!text) return fail(ErrorCode::not_found, "there is no process {}", pid);
  return MemoryUsage{.anonymous = field(*text, "\nRssAnon:"),
                     .file = field(*text, "\nRssFile:"),
                     .shared = field(*text, "\nRssShmem:")};
}

std::vector<pid_t> pids_of_tree(pid_t root) {
  std::unordered_multimap<pid_t, pid_t> children;
  for (const auto& process : platform::all_processes()) {
    children.emplace(process.parent, process.pid);
  }
  std::vector<pid_t> tree{root};
  for (std::size_t next = 0; next < tree.size(); ++next) {
    const auto [begin, end] = children.equal_range(tree[next]);
    for (auto child = begin; child != end; ++child) {
      // The list is no picture of one moment: a pid that came back must not lead round in a circle.
      if (std::ranges::find(tree, child->second) == tree.end()) tree.push_back(child->second);
    }
  }
  return tree;
}

Result<MemoryUsage> memory_usage_of_tree(pid_t root) {
  BERTH_TRY(MemoryUsage total, memory_usage(root));
  for (const pid_t pid : pids_of_tree(root)) {
    const auto usage = memory_usage(pid);
    if (pid == root || !usage) continue;  // ended since
    total.anonymous += usage->anonymous;
    total.file = std::max(total.file, usage->file);
    total.shared = std::max(total.shared, usage->shared);
  }
  return total;
}

Result<Bytes> resident_bytes(pid_t pid) {
  BERTH_TRY(const MemoryUsage usage, memory_usage(pid));
  return usage.resident();
}

}  // namespace berth::process
