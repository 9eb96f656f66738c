#include "process/shim.h"

#include "base/describe.h"
#include "base/files.h"
#include "process/platform/process_info.h"
#include "process/spawn.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <thread>

#include <fcntl.h>
#include <unistd.h>

namespace berth::process {
namespace {

Result<void> check(const ShimLaunch& launch, const std::string& serialised) {
  ShimSpec read_back;
  const std::string problem = parse(serialised, read_back);
  if (!problem.empty()) {
    return fail(ErrorCode::invalid_parameter, "starting {}: {}", launch.spec.instance, problem);
  }
  for (const std::string& path :
       {launch.spec.argv.front(), launch.spec.state_path, launch.spec.log_path}) {
    if (!path.starts_with('/')) {
      return fail(ErrorCode::invalid_parameter, "starting {}: {} is not an absolute path",
                  launch.spec.instance, path);
    }
  }
  return {};
}

// Nobody reads it before the shim is started, so neither rename nor flush are needed.
Result<void> write_spec(const std::filesystem::path& path, std::string_view text) {
  ::unlink(path.c_str());
  const OwnedFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd.valid()) return fail_errno(errno, "writing {}", path.string());
  while (!text.empty()) {
    const ssize_t n = ::write(fd.get(), text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const int error = errno;
      ::unlink(path.c_str());
      return fail_errno(error, "writing {}", path.string());
    }
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

// A shim that has ended is as good as one that was told to.
Result<void> send(const ShimHandle& handle, int signal) {
  auto sent = handle.pidfd.send(signal);
  if (!sent && sent.error().code == ErrorCode::not_found) return {};
  return sent;
}

}  // namespace

Result<ShimHandle> start_shim(const ShimLaunch& launch) {
  const ShimSpec& spec = launch.spec;
  const std::string text = serialise(spec);
  BERTH_CHECK(check(launch, text));
  BERTH_CHECK(write_spec(launch.spec_path, text));
  ::unlink(spec.state_path.c_str());
  auto child = spawn({
      .argv = {launch.program.string(), launch.spec_path.string()},
      .environment = {{{std::string(kClusterVariable), spec.cluster},
                       {std::string(kInstanceVariable), spec.instance},
                       {std::string(kGenerationVariable), std::to_string(spec.generation)},
                       {std::string(kShimVariable), "1"}}},
      .working_directory = "/",
      // A stop that comes before the shim is ready for it must not be lost, nor end it rudely.
      .blocked_signals = {SIGTERM, SIGINT, SIGQUIT},
  });
  if (!child) {
    ::unlink(launch.spec_path.c_str());
    return fail(std::move(child).error().context("starting the shim of {}", spec.instance));
  }
  return ShimHandle{.identity = child->identity, .pidfd = std::move(child->pidfd)};
}

Result<ShimState> read_shim_state(const std::filesystem::path& path) {
  BERTH_TRY(const std::string text, read_file(path, 64_KiB));
  auto parsed = parse_json(text);
  auto state = parsed ? from_json<ShimState>(*parsed, UnknownMembers::ignore)
                      : Result<ShimState>(fail(parsed.error()));
  if (state && state->shim_pid > 0 && state->version == 1) return state;
  Error error = state ? make_error(ErrorCode::corrupt, "it names no shim, or is of another version")
                      : std::move(state).error();
  error.code = ErrorCode::corrupt;
  return fail(std::move(error).context("{} is no state of a shim", path.string()));
}

Result<ShimHandle> adopt(const ShimState& state) {
  BERTH_TRY(const std::string boot, current_boot_id());
  if (state.boot_id != boot) {
    return fail(ErrorCode::not_found, "the shim of {} ended when the machine was restarted",
                state.instance);
  }
  return adopt(ProcessIdentity{state.shim_pid, state.shim_start_time});
}

Result<ShimHandle> adopt(ProcessIdentity identity) {
  BERTH_TRY(Pidfd pidfd, Pidfd::open(identity));
  return ShimHandle{.identity = identity, .pidfd = std::move(pidfd)};
}

Result<void> request_stop(const ShimHandle& handle) { return send(handle, SIGTERM); }

Result<void> request_kill(const ShimHandle& handle) { return send(handle, SIGQUIT); }

Result<void> kill_shim(const ShimHandle& handle) { return send(handle, SIGKILL); }

bool wait_for_end(const ShimHandle& handle, Duration timeout) {
  if (!handle.pidfd.wait(timeout)) return false;
  reap(handle);
  return true;
}

void reap(const ShimHandle& handle) { handle.pidfd.reap(); }

Result<ShimState> wait_for_phase(const std::filesystem::path& state_path, ShimPhase phase,
                                 Duration timeout) {
  const SteadyTime deadline = std::chrono::steady_clock::now() + timeout;
  for (;;) {
    auto state = read_shim_state(state_path);
    if (state && state->state >= phase) return state;
    if (!state && state.error().code != ErrorCode::not_found) return state;
    if (std::chrono::steady_clock::now() >= deadline) {
      return fail(ErrorCode::timeout, "{} did not become {} within {} ms", state_path.string(),
                  enum_name(phase), timeout.count());
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

Result<std::string> current_boot_id() {
  std::string id = platform::boot_id();
  if (id.empty()) return fail(ErrorCode::io, "the kernel's boot id can not be read");
  return id;
}

}  // namespace berth::process
