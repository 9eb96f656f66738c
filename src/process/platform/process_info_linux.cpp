#include "process/platform/process_info.h"

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

namespace berth::process::platform {
namespace {

std::string_view next_field(std::string_view& text) {
  const std::size_t start = text.find_first_not_of(' ');
  if (start == std::string_view::npos) return text = {};
  text.remove_prefix(start);
  const std::size_t end = text.find_first_of(" \n");
  const std::string_view field = text.substr(0, end);
  text.remove_prefix(field.size());
  return field;
}

template <class Number>
bool read_number(std::string_view text, Number& number) {
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  return error == std::errc() && stop == end;
}

std::optional<std::string> read_of_process(pid_t pid, const char* what) {
  char path[64];
  std::snprintf(path, sizeof path, "/proc/%d/%s", pid, what);
  return read_small_file(path);
}

}  // namespace

std::optional<std::string> read_small_file(const char* path) {
  const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::nullopt;
  std::string content;
  char buffer[4096];
  ssize_t n = 0;
  do {
    n = ::read(fd, buffer, sizeof buffer);
    if (n > 0) content.append(buffer, static_cast<std::size_t>(n));
  } while (n > 0 || (n < 0 && errno == EINTR));
  ::close(fd);
  if (n < 0) return std::nullopt;
  return content;
}

std::optional<ProcessInfo> parse_stat(std::string_view text) {
  const std::size_t open = text.find('(');
  const std::size_t close = text.rfind(')');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open) {
    return std::nullopt;
  }
  ProcessInfo info;
  std::string_view head = text.substr(0, open);
  if (!read_number(next_field(head), info.pid)) return std::nullopt;
  info.name = text.substr(open + 1, close - open - 1);
  std::string_view rest = text.substr(close + 1);
  const std::string_view state = next_field(rest);
  if (state.size() != 1) return std::nullopt;
  info.state = state.front();
  if (!read_number(next_field(rest), info.parent)) return std::nullopt;
  if (!read_number(next_field(rest), info.group)) return std::nullopt;
  // proc(5): the group is field 5, user and system time fields 14 and 15, the start time field 22.
  for (int field = 6; field < 14; ++field) next_field(rest);
  std::uint64_t user = 0;
  std::uint64_t system = 0;
  if (!read_number(next_field(rest), user) || !read_number(next_field(rest), system)) {
    return std::nullopt;
  }
  info.cpu_ticks = user + system;
  for (int field = 16; field < 22; ++field) next_field(rest);
  if (!read_number(next_field(rest), info.start_time)) return std::nullopt;
  return info;
}

std::optional<ProcessInfo> process_info(pid_t pid) {
  const auto text = read_of_process(pid, "stat");
  if (!text) return std::nullopt;
  return parse_stat(*text);
}

std::vector<ProcessInfo> all_processes() {
  std::vector<ProcessInfo> processes;
  DIR* const directory = ::opendir("/proc");
  if (directory == nullptr) return processes;
  while (const dirent* entry = ::readdir(directory)) {
    pid_t pid = 0;
    if (!read_number(std::string_view(entry->d_name), pid)) continue;
    if (auto info = process_info(pid)) processes.push_back(std::move(*info));
  }
  ::closedir(directory);
  return processes;
}

std::optional<std::string> process_environment(pid_t pid) {
  return read_of_process(pid, "environ");
}

std::string boot_id() {
  std::string id = read_small_file("/proc/sys/kernel/random/boot_id").value_or(std::string());
  while (!id.empty() && id.back() == '\n') id.pop_back();
  return id;
}

}  // namespace berth::process::platform
