#include "process/platform/fork_exec.h"

#include <cerrno>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <fcntl.h>
#include <unistd.h>

namespace berth::process::platform {
namespace {

constexpr int kFirstFree = 3;  // beyond the three streams

[[noreturn]] void give_up(int report) {
  const int error = errno;
  // If even this fails, the parent takes the child for one that ended at once.
  const ssize_t written = ::write(report, &error, sizeof error);
  ::_exit(written == sizeof error ? 127 : 126);
}

// A stream of the child may be ours under the number of another one: out of the way first.
bool move_away(int& fd, int own_number) {
  if (fd == own_number || fd >= kFirstFree) return true;
  fd = ::fcntl(fd, F_DUPFD_CLOEXEC, kFirstFree);
  return fd >= 0;
}

// In the child, up to the exec: system calls only, since other threads may have held any lock.
[[noreturn]] void become(const ChildStart& start, pid_t parent, int report) {
  if (start.new_session && ::setsid() < 0) give_up(report);
  if (start.end_with_us) {
    if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) give_up(report);
    if (::getppid() != parent) ::_exit(126);  // it died before the line above
  }
  int streams[] = {start.streams[0], start.streams[1], start.streams[2]};
  for (int number = 0; number < kFirstFree; ++number) {
    if (!move_away(streams[number], number)) give_up(report);
  }
  for (int number = 0; number < kFirstFree; ++number) {
    if (streams[number] != number && ::dup2(streams[number], number) < 0) give_up(report);
  }
  // Those that somebody opened without the flag; `report` has to last until the exec.
  ::close_range(kFirstFree, ~0U, CLOSE_RANGE_CLOEXEC);
  if (start.working_directory != nullptr && ::chdir(start.working_directory) != 0) give_up(report);
  for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_DFL);
  ::sigprocmask(SIG_SETMASK, &start.blocked, nullptr);
  ::execvpe(start.argv[0], start.argv, start.environment);
  give_up(report);
}

}  // namespace

int fork_exec(const ChildStart& start, pid_t& pid) {
  int report[2] = {-1, -1};
  if (::pipe2(report, O_CLOEXEC) != 0) return errno;
  // No handler of ours may run in the child.
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  const int fork_error = errno;
  if (child == 0) become(start, parent, report[1]);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ::close(report[1]);
  int error = child < 0 ? fork_error : 0;
  ssize_t n = 0;
  if (child > 0) {
    do {
      n = ::read(report[0], &error, sizeof error);
    } while (n < 0 && errno == EINTR);
  }
  ::close(report[0]);
  if (n == sizeof error) ::waitpid(child, nullptr, 0);
  if (error == 0) pid = child;
  return error;
}

}  // namespace berth::process::platform
