// Child processes that we wait for, such as uv, pip or a probe of an engine's version.
#pragma once

#include "base/bytes.h"
#include "base/clock.h"
#include "base/owned_fd.h"
#include "base/result.h"
#include "process/pidfd.h"

#include <filesystem>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace berth::process {

// Where one of a child's three standard streams goes.
struct Stdio {
  enum class Kind {
    null,       // /dev/null
    inherit,    // ours
    pipe,       // a pipe whose other end is in Child
    fd,         // `fd`, which stays the caller's
    to_stdout,  // stderr only: where stdout goes
  };
  Kind kind = Kind::null;
  int fd = -1;
};

struct SpawnOptions {
  std::vector<std::string> argv;  // argv[0] with a '/' is a path, else it is looked up on our PATH
  // The child's whole environment, or ours if absent.
  std::optional<std::vector<std::pair<std::string, std::string>>> environment;
  std::filesystem::path working_directory;  // ours if empty
  Stdio standard_input = {};
  Stdio standard_output = {};
  Stdio standard_error = {};
  std::vector<int> blocked_signals = {};  // wait until the program takes them, as by signalfd
  bool new_session = true;  // its own session and group: Ctrl-C at our terminal does not reach it
  // SIGKILL to the child when the thread that started it ends, and so when we are killed. For
  // threads that wait for the child.
  bool end_with_us = false;
};

using berth::OwnedFd;

// A started child. Dropping it neither kills nor reaps: wait on `pidfd` and reap it.
struct Child {
  ProcessIdentity identity;
  Pidfd pidfd;
  OwnedFd standard_input;   // valid where the option was `pipe`
  OwnedFd standard_output;  // read end, blocking
  OwnedFd standard_error;
};

// Starts a program; the child has no descriptors but its three streams, default signal handling and
// no blocked signals but those asked for. Fails with not_found ("starting uv: No such file or
// directory") or io. Thread-safe.
Result<Child> spawn(const SpawnOptions& options);

enum class OutputStream { out, error };

struct RunLimits {
  Duration timeout = std::chrono::minutes(10);
  Bytes output = 1_MiB;       // of each stream; what is beyond is read and dropped
  std::stop_token stop = {};  // ends the run early
};

struct RunOutput {
  int exit_code = 0;  // meaningful if signal is 0
  int signal = 0;
  std::string standard_output;
  std::string standard_error;
  bool truncated = false;  // a stream exceeded the limit
  [[nodiscard]] bool ok() const { return exit_code == 0 && signal == 0; }
};

// Gets each line without its end as it comes; '\r' ends a line too (progress bars). At most 16 KiB
// a line. Called on the thread of `run`.
using OnLine = std::function<void(OutputStream, std::string_view)>;

// Runs a program to its end and captures its output (streams whose option is `null` are captured;
// stdin stays as given). Whatever it left running in its session's process group is killed; when we
// are killed, the program is. Fails
// with timeout or cancelled after killing the group, the last line of output in the message; an
// exit code other than 0 is no failure of `run`. Blocking; thread-safe.
Result<RunOutput> run(SpawnOptions options, RunLimits limits = {}, const OnLine& on_line = {});

}  // namespace berth::process
