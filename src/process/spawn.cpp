#include "process/spawn.h"

#include "process/platform/process_info.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <sys/wait.h>

#include <fcntl.h>
#include <spawn.h>
#include <unistd.h>

namespace berth::process {
namespace {

// posix_spawn's two parameter objects, with their ends.
struct Actions {
  posix_spawn_file_actions_t value{};
  Actions() { ::posix_spawn_file_actions_init(&value); }
  Actions(const Actions&) = delete;
  Actions& operator=(const Actions&) = delete;
  ~Actions() { ::posix_spawn_file_actions_destroy(&value); }
};
struct Attributes {
  posix_spawnattr_t value{};
  Attributes() { ::posix_spawnattr_init(&value); }
  Attributes(const Attributes&) = delete;
  Attributes& operator=(const Attributes&) = delete;
  ~Attributes() { ::posix_spawnattr_destroy(&value); }
};

struct Pipe {
  OwnedFd ours;
  OwnedFd theirs;
};

Result<Pipe> make_pipe(bool child_reads) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail_errno(errno, "making a pipe");
  OwnedFd read_end(ends[0]);
  OwnedFd write_end(ends[1]);
  if (child_reads) return Pipe{.ours = std::move(write_end), .theirs = std::move(read_end)};
  return Pipe{.ours = std::move(read_end), .theirs = std::move(write_end)};
}

// Directs the child's stream `target`; fills `pipe` if it is one.
Result<void> direct(Actions& actions, const Stdio& stdio, int target, Pipe& pipe) {
  const int access = target == STDIN_FILENO ? O_RDONLY : O_WRONLY;
  int error = 0;
  switch (stdio.kind) {
    case Stdio::Kind::null:
      error = ::posix_spawn_file_actions_addopen(&actions.value, target, "/dev/null", access, 0);
      break;
    case Stdio::Kind::inherit:
      break;
    case Stdio::Kind::pipe: {
      BERTH_TRY(pipe, make_pipe(target == STDIN_FILENO));
      error = ::posix_spawn_file_actions_adddup2(&actions.value, pipe.theirs.get(), target);
      break;
    }
    case Stdio::Kind::fd:
      error = ::posix_spawn_file_actions_adddup2(&actions.value, stdio.fd, target);
      break;
    case Stdio::Kind::to_stdout:
      error = ::posix_spawn_file_actions_adddup2(&actions.value, STDOUT_FILENO, target);
      break;
  }
  if (error != 0) return fail_errno(error, "preparing a child's streams");
  return {};
}

void set_attributes(Attributes& attributes, const SpawnOptions& options) {
  sigset_t blocked;
  ::sigemptyset(&blocked);
  for (const int signal : options.blocked_signals) ::sigaddset(&blocked, signal);
  ::posix_spawnattr_setsigmask(&attributes.value, &blocked);
  sigset_t all;
  ::sigfillset(&all);
  ::posix_spawnattr_setsigdefault(&attributes.value, &all);
  int flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
  if (options.new_session) flags |= POSIX_SPAWN_SETSID;
  ::posix_spawnattr_setflags(&attributes.value, static_cast<short>(flags));
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  out.reserve(texts.size() + 1);
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

Result<void> check(const SpawnOptions& options) {
  if (options.argv.empty() || options.argv.front().empty()) {
    return fail(ErrorCode::invalid_parameter, "no program to start");
  }
  std::error_code ignored;
  if (!options.working_directory.empty() &&
      !std::filesystem::is_directory(options.working_directory, ignored)) {
    return fail(ErrorCode::not_found, "starting {}: there is no folder {}", options.argv.front(),
                options.working_directory.string());
  }
  return {};
}

}  // namespace

OwnedFd& OwnedFd::operator=(OwnedFd&& other) noexcept {
  if (this != &other) {
    reset();
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

void OwnedFd::reset() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

Result<Child> spawn(const SpawnOptions& options) {
  BERTH_CHECK(check(options));
  Actions actions;
  Pipe in;
  Pipe out;
  Pipe error;
  BERTH_CHECK(direct(actions, options.standard_input, STDIN_FILENO, in));
  BERTH_CHECK(direct(actions, options.standard_output, STDOUT_FILENO, out));
  BERTH_CHECK(direct(actions, options.standard_error, STDERR_FILENO, error));
  ::posix_spawn_file_actions_addclosefrom_np(&actions.value, 3);
  if (!options.working_directory.empty()) {
    ::posix_spawn_file_actions_addchdir_np(&actions.value, options.working_directory.c_str());
  }
  Attributes attributes;
  set_attributes(attributes, options);

  std::vector<std::string> arguments = options.argv;
  std::vector<std::string> environment;
  if (options.environment) {
    for (const auto& [name, value] : *options.environment) {
      environment.push_back(fmt::format("{}={}", name, value));
    }
  }
  std::vector<char*> environment_pointers = pointers(environment);
  char* const* const env = options.environment ? environment_pointers.data() : ::environ;
  pid_t pid = 0;
  const int failed = ::posix_spawnp(&pid, arguments.front().c_str(), &actions.value,
                                    &attributes.value, pointers(arguments).data(), env);
  if (failed != 0) {
    Error problem = errno_error(failed, fmt::format("starting {}", options.argv.front()));
    if (failed == ENOENT) problem.code = ErrorCode::not_found;
    return fail(std::move(problem));
  }
  const auto info = platform::process_info(pid);  // a zombie at worst: nobody else reaps it
  auto pidfd = Pidfd::open(pid);
  if (!pidfd) {  // out of descriptors: a child that nobody can watch must not stay
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    return fail(std::move(pidfd).error());
  }
  return Child{.identity = {pid, info ? info->start_time : 0},
               .pidfd = *std::move(pidfd),
               .standard_input = std::move(in.ours),
               .standard_output = std::move(out.ours),
               .standard_error = std::move(error.ours)};
}

}  // namespace berth::process
