#include "descendants.h"

#include "process/platform/process_info.h"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <sys/wait.h>

#include <fcntl.h>
#include <unistd.h>

namespace berth::shim {
namespace {

namespace platform = berth::process::platform;

// A child can not be reaped by anybody else, so its pid is its own as long as we have not.
void kill_child(pid_t child) {
  if (::getpgid(child) == child) ::kill(-child, SIGKILL);
  ::kill(child, SIGKILL);
}

}  // namespace

void kill_children() {
  // There only with CONFIG_PROC_CHILDREN; far cheaper than a walk over /proc.
  char path[64];
  std::snprintf(path, sizeof path, "/proc/self/task/%d/children", ::getpid());
  if (const auto list = platform::read_small_file(path)) {
    const char* text = list->c_str();
    char* end = nullptr;
    for (long pid = std::strtol(text, &end, 10); end != text; pid = std::strtol(text, &end, 10)) {
      kill_child(static_cast<pid_t>(pid));
      text = end;
    }
    return;
  }
  const pid_t self = ::getpid();
  for (const auto& process : platform::all_processes()) {
    if (process.parent == self) kill_child(process.pid);
  }
}

void kill_group(const std::string& control_group) {
  if (control_group.empty()) return;
  const int fd = ::open((control_group + "/cgroup.kill").c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  [[maybe_unused]] const ssize_t written = ::write(fd, "1", 1);  // kill_children is left to us
  ::close(fd);
}

Reaped reap_next(pid_t leader) {
  siginfo_t ended{};
  if (::waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) != 0) return {.pid = -1};
  if (ended.si_pid == 0) return {};
  if (ended.si_pid == leader) ::kill(-leader, SIGKILL);
  int status = 0;
  if (::waitpid(ended.si_pid, &status, 0) != ended.si_pid) return {};
  Reaped reaped{.pid = ended.si_pid};
  if (WIFEXITED(status)) reaped.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) reaped.signal = WTERMSIG(status);
  return reaped;
}

}  // namespace berth::shim
