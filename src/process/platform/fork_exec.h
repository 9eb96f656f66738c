// The start of a child process, for `spawn`. posix_spawn would do, could it ask for a signal at the
// parent's end.
#pragma once

#include <array>
#include <csignal>
#include <sys/types.h>

namespace berth::process::platform {

// What the child gets; everything is prepared before the fork, after which nothing may allocate.
struct ChildStart {
  char* const* argv = nullptr;  // null-terminated; argv[0] without a '/' is looked up on our PATH
  char* const* environment = nullptr;
  const char* working_directory = nullptr;  // null: ours
  std::array<int, 3> streams{};  // what becomes its 0, 1 and 2; its own number keeps ours
  sigset_t blocked{};
  bool new_session = false;
  bool end_with_us = false;  // SIGKILL when the thread that starts it ends
};

// Returns 0 and fills `pid` once the program is executed, else the errno of what failed, with no
// child left. Thread-safe.
int fork_exec(const ChildStart& start, pid_t& pid);

}  // namespace berth::process::platform
