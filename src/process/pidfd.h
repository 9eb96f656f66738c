// Pidfd: a reference to one process that no reuse of its pid can misdirect (Linux 5.3 and later).
#pragma once

#include "base/clock.h"
#include "base/result.h"

#include <compare>
#include <cstdint>
#include <sys/types.h>
#include <utility>

namespace berth::process {

// A process of this boot, for good: pids come back, start times (clock ticks since boot, field 22
// of /proc/PID/stat) do not.
struct ProcessIdentity {
  pid_t pid = 0;
  std::uint64_t start_time = 0;
  friend auto operator<=>(const ProcessIdentity&, const ProcessIdentity&) = default;
};

// Owns a pidfd (close-on-exec). Move-only; one thread at a time.
class Pidfd {
 public:
  // Refers to whatever process has `pid` now. Safe for children that were not reaped.
  // Fails with not_found if there is none.
  static Result<Pidfd> open(pid_t pid);
  // Refers to that very process. Fails with not_found if it is gone, also if its pid has a new
  // owner.
  static Result<Pidfd> open(ProcessIdentity identity);

  Pidfd() = default;
  Pidfd(Pidfd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Pidfd& operator=(Pidfd&& other) noexcept;
  Pidfd(const Pidfd&) = delete;
  Pidfd& operator=(const Pidfd&) = delete;
  ~Pidfd();

  // Becomes readable when the process has ended. Stays owned by this object: dup it for Asio.
  [[nodiscard]] int fd() const { return fd_; }

  // Fails with not_found if the process has ended and been reaped, else io.
  [[nodiscard]] Result<void> send(int signal) const;
  // True as soon as the process has ended (a zombie has), false once `timeout` has passed.
  [[nodiscard]] bool wait(Duration timeout) const;
  // Takes the exit status of a child, so that no zombie stays; true if it had ended and was ours.
  // Does not wait. `status` may be null.
  struct ExitStatus {
    int exit_code = 0;  // meaningful if signal is 0
    int signal = 0;     // the one that ended it
  };
  bool reap(ExitStatus* status = nullptr) const;

 private:
  explicit Pidfd(int fd) : fd_(fd) {}
  int fd_ = -1;
};

}  // namespace berth::process
