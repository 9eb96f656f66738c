#include "process/pidfd.h"
#include "process/platform/process_info.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <poll.h>
#include <unistd.h>

namespace berth::process {
namespace {

tl::unexpected<Error> gone(pid_t pid) {
  return fail(ErrorCode::not_found, "process {} has ended", pid);
}

}  // namespace

Result<Pidfd> Pidfd::open(pid_t pid) {
  // By number: glibc 2.36 has pidfd_open, but its header clashes with <fcntl.h> in some versions.
  const int fd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0U));
  if (fd >= 0) return Pidfd(fd);
  if (errno == ESRCH || errno == EINVAL) return gone(pid);
  return fail_errno(errno, "opening process {}", pid);
}

Result<Pidfd> Pidfd::open(ProcessIdentity identity) {
  BERTH_TRY(Pidfd pidfd, open(identity.pid));
  // Looked at after the open: if it is the right one now, it was then.
  const auto info = platform::process_info(identity.pid);
  if (!info || info->is_zombie() || info->start_time != identity.start_time) {
    return gone(identity.pid);
  }
  return pidfd;
}

Pidfd& Pidfd::operator=(Pidfd&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

Pidfd::~Pidfd() {
  if (fd_ >= 0) ::close(fd_);
}

Result<void> Pidfd::send(int signal) const {
  if (::syscall(SYS_pidfd_send_signal, fd_, signal, nullptr, 0U) == 0) return {};
  if (errno == ESRCH) return fail(ErrorCode::not_found, "the process has ended");
  return fail_errno(errno, "sending signal {}", signal);
}

bool Pidfd::wait(Duration timeout) const {
  const SteadyTime deadline = std::chrono::steady_clock::now() + timeout;
  for (;;) {
    const auto left = std::chrono::ceil<Duration>(deadline - std::chrono::steady_clock::now());
    const auto slice = std::clamp<Duration::rep>(left.count(), 0, 60'000);
    pollfd event{fd_, POLLIN, 0};
    const int n = ::poll(&event, 1, static_cast<int>(slice));
    if (n > 0) return (event.revents & POLLIN) != 0;
    if (n < 0 && errno != EINTR) return false;
    if (n == 0 && left.count() <= slice) return false;
  }
}

bool Pidfd::reap(ExitStatus* status) const {
  siginfo_t ended{};
  if (::waitid(P_PIDFD, static_cast<id_t>(fd_), &ended, WEXITED | WNOHANG) != 0) return false;
  if (ended.si_pid == 0) return false;
  if (status != nullptr) {
    *status = ended.si_code == CLD_EXITED ? ExitStatus{.exit_code = ended.si_status}
                                          : ExitStatus{.signal = ended.si_status};
  }
  return true;
}

}  // namespace berth::process
