#include "supervisor.h"

#include "descendants.h"
#include "engine.h"
#include "log_file.h"
#include "process/platform/process_info.h"
#include "state_file.h"

#include <algorithm>
#include <csignal>
#include <ctime>
#include <sys/prctl.h>
#include <sys/signalfd.h>

#include <poll.h>
#include <unistd.h>

namespace berth::shim {
namespace {

using berth::process::ShimSpec;
namespace platform = berth::process::platform;

constexpr std::int64_t kNever = INT64_MAX;
constexpr std::int64_t kFirstKillInterval = 2;   // milliseconds between rounds of killing
constexpr std::int64_t kLastKillInterval = 200;  // for what is blocked in the kernel
constexpr int kLastPieces = 64;                  // 4 MiB, more than a pipe holds

std::int64_t milliseconds(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1'000'000;
}

std::uint64_t start_time(pid_t pid) {
  const auto info = platform::process_info(pid);
  return info ? info->start_time : 0;
}

// A descriptor from which the signals that concern us are read.
int block_signals() {
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int number : {SIGTERM, SIGINT, SIGQUIT, SIGCHLD}) ::sigaddset(&signals, number);
  ::sigprocmask(SIG_SETMASK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGHUP, SIG_IGN);
  return ::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

class Supervisor {
 public:
  explicit Supervisor(const ShimSpec& spec)
      : spec_(spec), log_(spec.log_path, spec.log_limit), state_file_(spec.state_path) {
    state_.instance = spec.instance;
    state_.generation = spec.generation;
    state_.attempt = spec.attempt;
    state_.shim_pid = ::getpid();
    state_.shim_start_time = start_time(::getpid());
    state_.boot_id = platform::boot_id();
    state_.started_at = milliseconds(CLOCK_REALTIME);
  }

  int run() {
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    signals_ = block_signals();
    state_file_.write(state_);
    const Engine engine = start_engine(spec_);
    state_.error = engine.error;
    if (engine.pid != 0) {
      output_ = engine.output;
      state_.engine_pid = engine.pid;
      state_.engine_start_time = start_time(engine.pid);
      state_.core_limit = engine.core_limit;
      enter("running");
      while (has_children_) step();
      // Bounded: somebody who is not our descendant may hold the pipe's other end.
      for (int pieces = 0; pieces < kLastPieces && copy_output(); ++pieces) {
      }
    }
    state_.ended_at = milliseconds(CLOCK_REALTIME);
    state_.phase = "exited";
    state_.log_dropped_bytes = log_.dropped();
    return state_file_.write_last(state_) ? 0 : 1;
  }

 private:
  // A state that can not be written now is made up for by the next one.
  void enter(const char* phase) {
    state_.phase = phase;
    state_.log_dropped_bytes = log_.dropped();
    state_file_.write(state_);
  }

  void step() {
    const std::int64_t wake = std::min(stop_deadline_, next_kill_);
    int timeout = -1;
    if (wake != kNever) {
      const std::int64_t left = wake - milliseconds(CLOCK_MONOTONIC);
      timeout = static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000));
    }
    pollfd events[] = {{signals_, POLLIN, 0}, {output_, POLLIN, 0}};
    ::poll(events, 2, timeout);
    if (events[1].revents != 0) copy_output();
    if (events[0].revents != 0) read_signals();
    const std::int64_t now = milliseconds(CLOCK_MONOTONIC);
    if (now >= stop_deadline_) {
      stop_deadline_ = kNever;
      // Blocks forks within the group, unlike a walk over its members.
      if (!main_ended_) ::kill(-state_.engine_pid, SIGKILL);
      next_kill_ = std::min(next_kill_, now);
    }
    if (now >= next_kill_) {
      kill_all();
      next_kill_ = now + kill_interval_;
      kill_interval_ = std::min(kill_interval_ * 2, kLastKillInterval);
    }
    reap();
  }

  void read_signals() {
    signalfd_siginfo info{};
    while (::read(signals_, &info, sizeof info) == sizeof info) {
      const std::int64_t now = milliseconds(CLOCK_MONOTONIC);
      switch (info.ssi_signo) {
        case SIGTERM:
        case SIGINT:
          request_stop(now);
          break;
        case SIGQUIT:
          note_stop();
          if (next_kill_ == kNever) stop_deadline_ = now;
          break;
        default:
          break;  // SIGCHLD: step() reaps anyway
      }
    }
  }

  void note_stop() {
    if (state_.stop_requested || main_ended_) return;
    state_.stop_requested = true;
    enter("stopping");
  }

  void request_stop(std::int64_t now) {
    if (state_.stop_requested || main_ended_) return;
    note_stop();
    ::kill(-state_.engine_pid, spec_.stop_signal);
    ::kill(-state_.engine_pid, SIGCONT);  // a stopped process would not see it
    const auto grace = std::min<std::uint64_t>(spec_.stop_grace_milliseconds, INT32_MAX);
    stop_deadline_ = now + static_cast<std::int64_t>(grace);
  }

  // Whatever the engine started, in its group or, as our child, out of it.
  void kill_all() const {
    kill_group(spec_.control_group);
    kill_children();
  }

  void reap() {
    for (;;) {
      const Reaped ended = reap_next(main_ended_ ? 0 : state_.engine_pid);
      if (ended.pid < 0) has_children_ = false;
      if (ended.pid <= 0) return;
      if (main_ended_ || ended.pid != state_.engine_pid) continue;
      main_ended_ = true;
      state_.exit_code = ended.exit_code;
      state_.signal = ended.signal;
      stop_deadline_ = kNever;
      enter("stopping");
      kill_all();
      next_kill_ = milliseconds(CLOCK_MONOTONIC) + kill_interval_;
    }
  }

  // Copies one piece; false if there is none now, or ever.
  bool copy_output() {
    if (output_ < 0) return false;
    const ssize_t n = ::read(output_, buffer_, sizeof buffer_);
    if (n > 0) {
      log_.append(buffer_, static_cast<std::size_t>(n));
      return true;
    }
    if (n == 0) {
      ::close(output_);
      output_ = -1;
    }
    return false;
  }

  const ShimSpec& spec_;
  LogFile log_;
  StateFile state_file_;
  State state_;
  int signals_ = -1;
  int output_ = -1;
  bool main_ended_ = false;
  bool has_children_ = true;
  std::int64_t stop_deadline_ = kNever;  // monotonic milliseconds
  std::int64_t next_kill_ = kNever;
  std::int64_t kill_interval_ = kFirstKillInterval;
  char buffer_[64 << 10];
};

}  // namespace

int supervise(const ShimSpec& spec) {
  static Supervisor supervisor(spec);  // large, and there is only one
  return supervisor.run();
}

}  // namespace berth::shim
