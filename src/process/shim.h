// The agent's side of berth-shim: start one, find it again after a restart, stop it, read its
// state. Blocking for milliseconds (small files, one fork); functions are thread-safe, handles are
// not.
#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "process/pidfd.h"
#include "process/shim_spec.h"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include <boost/describe.hpp>

namespace berth::process {

enum class ShimPhase {
  starting,  // the shim runs, the engine is not executed yet
  running,   // the engine runs
  stopping,  // asked to stop, or the engine's main process has ended and the rest is being killed
  exited,    // nothing is left; the last state of this file
};
BOOST_DESCRIBE_ENUM(ShimPhase, starting, running, stopping, exited)

// The content of a state file, written by the shim alone.
struct ShimState {
  int version = 1;
  std::string instance;
  std::uint64_t generation = 0;
  std::uint32_t attempt = 0;
  pid_t shim_pid = 0;
  std::uint64_t shim_start_time = 0;
  pid_t engine_pid = 0;  // 0 as long as none was started
  std::uint64_t engine_start_time = 0;
  std::string boot_id;
  ShimPhase state = ShimPhase::starting;
  std::optional<int> exit_code;            // of the engine's main process, if it ended by itself
  std::optional<int> signal;               // that ended the engine's main process
  bool stop_requested = false;             // the engine ended because it was asked to
  std::uint64_t core_limit = 0;            // RLIMIT_CORE of the engine, read back
  std::chrono::milliseconds started_at{};  // since the epoch
  std::optional<std::chrono::milliseconds> ended_at;  // since the epoch
  std::uint64_t log_dropped_bytes = 0;  // output lost because the log could not be written
  std::string error;  // why the engine could not be started: "exec /x: No such file or directory"
};
BOOST_DESCRIBE_STRUCT(ShimState, (),
                      (version, instance, generation, attempt, shim_pid, shim_start_time,
                       engine_pid, engine_start_time, boot_id, state, exit_code, signal,
                       stop_requested, core_limit, started_at, ended_at, log_dropped_bytes, error))

struct ShimLaunch {
  ShimSpec spec;
  std::filesystem::path program;    // berth-shim
  std::filesystem::path spec_path;  // written 0600, removed by the shim once read
};

// A live shim. Drop it freely: the shim and its engine go on.
struct ShimHandle {
  ProcessIdentity identity;
  Pidfd pidfd;  // pidfd.fd() is readable once the shim has ended; then call reap()
};

// Starts a shim in a session of its own, with only its own descriptors and environment. Returns
// when the program is executed; its state file follows within milliseconds. The folders of state,
// log and spec must exist. The spec must hold at least argv, state_path and log_path (else
// invalid_parameter). A state file left by an earlier attempt at the same path is removed first.
Result<ShimHandle> start_shim(const ShimLaunch& launch);

// not_found if there is none, corrupt if it is no state of ours.
Result<ShimState> read_shim_state(const std::filesystem::path& path);

// Finds the shim that wrote `state`. Fails with not_found if it has ended: also if the machine was
// restarted since, or if another process has its pid now.
Result<ShimHandle> adopt(const ShimState& state);
// The same by identity, as listed by the process table.
Result<ShimHandle> adopt(ProcessIdentity identity);

// Asks for the orderly end: stop signal, grace, SIGKILL for whatever is left. May be repeated.
// A shim that has ended already is no error.
Result<void> request_stop(const ShimHandle& handle);
// The same without grace: the engine and all its descendants are killed now.
Result<void> request_kill(const ShimHandle& handle);
// SIGKILL to the shim itself, for one that does not react. The engine dies with it; its descendants
// are left to `sweep`.
Result<void> kill_shim(const ShimHandle& handle);

// Waits until the shim has ended, reaps it if it is our child. False once `timeout` has passed.
// Then read_shim_state tells how the engine ended; a state other than `exited` says that the shim
// was killed.
bool wait_for_end(const ShimHandle& handle, Duration timeout);
// Without waiting: takes the exit status of an ended shim so that no zombie stays. Call it when
// pidfd.fd() became readable.
void reap(const ShimHandle& handle);

// Polls the state file until its phase is `phase` or a later one. Fails with timeout.
Result<ShimState> wait_for_phase(const std::filesystem::path& state_path, ShimPhase phase,
                                 Duration timeout);

// Identifies this boot of the machine (/proc/sys/kernel/random/boot_id).
Result<std::string> current_boot_id();

}  // namespace berth::process
