#include "base/owned_fd.h"
#include "process/control_group.h"
#include "process/platform/process_info.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <sstream>
#include <sys/stat.h>
#include <thread>

#include <fcntl.h>
#include <unistd.h>

namespace berth::process {
namespace {

namespace fs = std::filesystem;

constexpr Duration kLook = std::chrono::milliseconds(5);
constexpr int kTries = 3;  // a program may start while others are moved

std::string read_text(const fs::path& file) {
  return platform::read_small_file(file.c_str()).value_or(std::string());
}

// One write, as the kernel wants it.
Result<void> write_text(const fs::path& file, std::string_view text) {
  const OwnedFd fd(::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640));
  if (!fd.valid()) return fail_errno(errno, "opening {}", file.string());
  if (::write(fd.get(), text.data(), text.size()) < 0) {
    return fail_errno(errno, "writing {} to {}", text, file.string());
  }
  return {};
}

bool has_word(const std::string& text, std::string_view wanted) {
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    if (word == wanted) return true;
  }
  return false;
}

std::vector<std::string> lines_of(const fs::path& file) {
  std::istringstream text(read_text(file));
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);) lines.push_back(std::move(line));
  return lines;
}

std::optional<std::uint64_t> number_after(const std::string& text, std::string_view name) {
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    std::uint64_t number = 0;
    if (word == name && words >> number) return number;
  }
  return std::nullopt;
}

// "MOUNT_ID PARENT MAJOR:MINOR ROOT PLACE OPTIONS … - TYPE …" (proc_pid_mountinfo(5)).
std::optional<fs::path> mount_in(const std::string& line) {
  std::istringstream words(line);
  std::string word;
  std::string root;
  std::string place;
  words >> word >> word >> word >> root >> place;
  while (words >> word && word != "-") {
  }
  if (!(words >> word) || word != "cgroup2" || root != "/") return std::nullopt;
  return place;
}

Result<fs::path> find_mount(const fs::path& mounts) {
  for (const auto& line : lines_of(mounts)) {
    if (auto place = mount_in(line)) return *std::move(place);
  }
  return fail(ErrorCode::unsupported, "no cgroup2 is mounted");
}

// The line "0::/system.slice/berth.service". Paths outside of our namespace begin with "/..".
Result<fs::path> find_own_group(const fs::path& mount, const fs::path& own_group) {
  for (const auto& line : lines_of(own_group)) {
    if (!line.starts_with("0::/") || line.starts_with("0::/..")) continue;
    const std::string path = line.substr(4);
    return path.empty() ? mount : mount / path;
  }
  return fail(ErrorCode::unsupported, "this process is in no group that it can see");
}

bool can_write(const fs::path& folder) {
  return ::access(folder.c_str(), W_OK) == 0 &&
         ::access((folder / "cgroup.procs").c_str(), W_OK) == 0 &&
         ::access((folder / "cgroup.subtree_control").c_str(), W_OK) == 0;
}

// Of the whole machine: it alone may have processes beside groups with limits.
bool is_root(const fs::path& group) {
  std::error_code ignored;
  return !fs::exists(group / "cgroup.type", ignored);
}

Result<void> check_folder(const fs::path& folder) {
  if (!has_word(read_text(folder / "cgroup.controllers"), "memory")) {
    return fail(ErrorCode::unsupported, "{} has no memory controller", folder.string());
  }
  if (!can_write(folder)) {
    return fail(ErrorCode::unsupported, "{} may not be written", folder.string());
  }
  return {};
}

std::vector<pid_t> processes_in(const fs::path& group) {
  std::vector<pid_t> pids;
  std::istringstream text(read_text(group / "cgroup.procs"));
  for (pid_t pid = 0; text >> pid;) pids.push_back(pid);
  return pids;
}

fs::path program_of(pid_t pid) {
  std::error_code ignored;
  return fs::read_symlink("/proc/" + std::to_string(pid) + "/exe", ignored);
}

// The processes of `folder`, where all of them may be moved; else fails, and nothing was changed.
Result<std::vector<pid_t>> find_movable(const fs::path& folder, const std::set<pid_t>& ours) {
  auto pids = processes_in(folder);
  const fs::path program = program_of(::getpid());
  for (const pid_t pid : pids) {
    const fs::path other = program_of(pid);
    if (ours.contains(pid) || (!program.empty() && other == program)) continue;
    return fail(ErrorCode::unsupported, "{} also has processes of other programs, such as {}",
                folder.string(), pid);
  }
  return pids;
}

// A process may have ended meanwhile, or started another one: `enable_memory` sees to that.
Result<void> move_out(const fs::path& folder, const std::set<pid_t>& ours) {
  BERTH_TRY(const auto pids, find_movable(folder, ours));
  if (pids.empty()) return {};
  const fs::path own = folder / ControlGroups::kOwnGroup;
  std::error_code error;
  fs::create_directory(own, error);
  if (error) return fail(ErrorCode::io, "making {}: {}", own.string(), error.message());
  for (const pid_t pid : pids) {
    auto moved = write_text(own / "cgroup.procs", std::to_string(pid));
    if (!moved && ::kill(pid, 0) == 0) return moved;
  }
  return {};
}

// Lets groups in `folder` limit memory.
Result<void> enable_memory(const fs::path& folder, const std::set<pid_t>& ours) {
  const fs::path control = folder / "cgroup.subtree_control";
  if (has_word(read_text(control), "memory")) return {};
  Result<void> enabled;
  for (int tries = 0; tries < kTries; ++tries) {
    if (!is_root(folder)) BERTH_CHECK(move_out(folder, ours));
    enabled = write_text(control, "+memory");
    if (enabled) break;
  }
  return enabled;
}

// Where a service manager put us into a subgroup, what it gave us is the group above.
fs::path folder_for_groups(const fs::path& own, const fs::path& mount) {
  const fs::path above = own.parent_path();
  const bool is_subgroup = own != mount && own.filename() == ControlGroups::kOwnGroup;
  if (!is_subgroup || is_root(above) || !processes_in(above).empty()) return own;
  return check_folder(above) ? above : own;
}

void kill_all(const fs::path& group) {
  if (write_text(group / "cgroup.kill", "1")) return;
  for (const pid_t pid : processes_in(group)) ::kill(pid, SIGKILL);  // before Linux 5.14
}

}  // namespace

Result<ControlGroups> ControlGroups::find(const std::set<pid_t>& ours,
                                          const ControlGroupSources& sources) {
  BERTH_TRY(const fs::path mount, find_mount(sources.mounts));
  BERTH_TRY(const fs::path own, find_own_group(mount, sources.own_group));
  fs::path folder = folder_for_groups(own, mount);
  BERTH_CHECK(check_folder(folder));
  auto enabled = enable_memory(folder, ours);
  if (!enabled) {
    Error why = std::move(enabled).error();
    why.code = ErrorCode::unsupported;
    return fail(std::move(why));
  }
  return ControlGroups(std::move(folder));
}

Result<fs::path> ControlGroups::make(std::string_view name, std::optional<Bytes> memory) const {
  const fs::path group = folder_ / name;
  if (::mkdir(group.c_str(), 0750) != 0 && errno != EEXIST) {
    return fail_errno(errno, "making the control group {}", group.string());
  }
  if (!memory) return group;
  const auto limit = [&]() -> Result<void> {
    BERTH_CHECK(write_text(group / "memory.max", std::to_string(memory->count)));
    return write_text(group / "memory.oom.group", "1");
  }();
  if (limit) return group;
  ::rmdir(group.c_str());
  return fail(Error(limit.error()));
}

std::vector<fs::path> ControlGroups::list(std::string_view prefix) const {
  std::vector<fs::path> groups;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_, error)) {
    const bool fits = entry.path().filename().string().starts_with(prefix);
    if (fits && entry.is_directory(error)) groups.push_back(entry.path());
  }
  std::ranges::sort(groups);
  return groups;
}

std::optional<MemoryEvents> memory_events(const fs::path& group) {
  const auto text = platform::read_small_file((group / "memory.events").c_str());
  if (!text) return std::nullopt;
  const auto kills = number_after(*text, "oom_kill");
  if (!kills) return std::nullopt;
  MemoryEvents events{.kills = *kills, .limit_misses = number_after(*text, "oom").value_or(0)};
  const std::string limit = read_text(group / "memory.max");
  std::uint64_t bytes = 0;
  const auto [end, error] = std::from_chars(limit.data(), limit.data() + limit.size(), bytes);
  if (error == std::errc{}) events.limit = Bytes{bytes};  // else "max"
  return events;
}

Result<void> end_control_group(const fs::path& group, Duration patience) {
  const SteadyTime deadline = std::chrono::steady_clock::now() + patience;
  for (;;) {
    if (::rmdir(group.c_str()) == 0 || errno == ENOENT) return {};
    const int error = errno;
    if (error != EBUSY) return fail_errno(error, "removing {}", group.string());
    kill_all(group);
    if (std::chrono::steady_clock::now() >= deadline) {
      return fail(ErrorCode::timeout, "processes in {} do not end", group.string());
    }
    std::this_thread::sleep_for(kLook);
  }
}

}  // namespace berth::process
