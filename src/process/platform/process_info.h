// What the operating system tells about processes. Standard library only: the shim uses it too.
// Linux reads /proc (process_info_linux.cpp).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace berth::process::platform {

struct ProcessInfo {
  pid_t pid = 0;
  pid_t parent = 0;
  pid_t group = 0;
  char state = '?';              // as in ps: R, S, D, Z …
  std::uint64_t start_time = 0;  // clock ticks since boot
  std::uint64_t cpu_ticks = 0;   // clock ticks that all its threads have run, also in the kernel
  std::string name;              // at most 15 characters
  [[nodiscard]] bool is_zombie() const { return state == 'Z' || state == 'X'; }
};

// Nothing if the process is gone.
std::optional<ProcessInfo> process_info(pid_t pid);

// Reads the content of a /proc/PID/stat; the name in it may contain spaces and parentheses.
std::optional<ProcessInfo> parse_stat(std::string_view text);

// Every process that is there now.
std::vector<ProcessInfo> all_processes();

// The environment that `pid` was started with, NUL-separated; nothing if it is gone or not ours to
// read.
std::optional<std::string> process_environment(pid_t pid);

// Names this boot of the machine; empty if it can not be read.
std::string boot_id();

// A small file such as those in /proc, whole. Nothing if it can not be read.
std::optional<std::string> read_small_file(const char* path);

}  // namespace berth::process::platform
