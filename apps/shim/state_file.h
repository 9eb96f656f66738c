// StateFile: what the shim tells the world, as one small JSON file that is replaced by rename. The
// reader is read_shim_state in src/process/shim.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>

namespace berth::shim {

struct State {
  std::string instance;
  std::uint64_t generation = 0;
  std::uint32_t attempt = 0;
  pid_t shim_pid = 0;
  std::uint64_t shim_start_time = 0;
  pid_t engine_pid = 0;
  std::uint64_t engine_start_time = 0;
  std::string boot_id;
  const char* phase = "starting";  // starting, running, stopping, exited
  std::optional<int> exit_code;
  std::optional<int> signal;
  bool stop_requested = false;
  std::uint64_t core_limit = 0;
  std::int64_t started_at = 0;  // milliseconds since the epoch
  std::optional<std::int64_t> ended_at;
  std::uint64_t log_dropped_bytes = 0;
  std::string error;
};

// The state as JSON, one member a line.
std::string to_json(const State& state);

// `text` as a JSON string, quotes included; bytes that are not ASCII become '?' in a text that a
// person reads, so that the file is valid JSON whatever a path holds.
std::string quoted(std::string_view text);

// Writes states that survive a full disk: the next file is laid out before it is needed, each state
// only overwrites its bytes (the rest is blank) and renames it. Nothing is flushed: after a crash
// of the machine the file tells of another boot and nobody needs it.
class StateFile {
 public:
  explicit StateFile(std::string path);
  StateFile(const StateFile&) = delete;
  StateFile& operator=(const StateFile&) = delete;

  // False if neither the laid out file nor a new one could be written.
  bool write(const State& state);
  // As `write`, for the state after which none follows: leaves no laid out file. From then on the
  // path may belong to the next attempt.
  bool write_last(const State& state);

 private:
  bool replace(const State& state);
  void lay_out_next();

  const std::string path_;
  const std::string next_path_;
  int next_fd_ = -1;
};

}  // namespace berth::shim
