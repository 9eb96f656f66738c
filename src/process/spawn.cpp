#include "process/spawn.h"

#include "process/platform/fork_exec.h"
#include "process/platform/process_info.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <sys/wait.h>

#include <fcntl.h>
#include <unistd.h>

namespace berth::process {
namespace {

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

// What a stream of the child is made from, and what of it stays with us.
struct Stream {
  int fd = -1;  // what the child gets
  OwnedFd theirs;
  OwnedFd ours;
};

// `standard_output` is where the child's stdout goes.
Result<Stream> make_stream(const Stdio& stdio, int target, int standard_output) {
  Stream stream;
  switch (stdio.kind) {
    case Stdio::Kind::null: {
      const int access = target == STDIN_FILENO ? O_RDONLY : O_WRONLY;
      stream.theirs = OwnedFd(::open("/dev/null", access | O_CLOEXEC));
      if (!stream.theirs.valid()) return fail_errno(errno, "opening /dev/null");
      stream.fd = stream.theirs.get();
      break;
    }
    case Stdio::Kind::inherit:
      stream.fd = target;
      break;
    case Stdio::Kind::pipe: {
      BERTH_TRY(Pipe pipe, make_pipe(target == STDIN_FILENO));
      stream.theirs = std::move(pipe.theirs);
      stream.ours = std::move(pipe.ours);
      stream.fd = stream.theirs.get();
      break;
    }
    case Stdio::Kind::fd:
      stream.fd = stdio.fd;
      break;
    case Stdio::Kind::to_stdout:
      stream.fd = standard_output;
      break;
  }
  return stream;
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

Result<Child> spawn(const SpawnOptions& options) {
  BERTH_CHECK(check(options));
  BERTH_TRY(Stream in, make_stream(options.standard_input, STDIN_FILENO, -1));
  BERTH_TRY(Stream out, make_stream(options.standard_output, STDOUT_FILENO, -1));
  BERTH_TRY(Stream error, make_stream(options.standard_error, STDERR_FILENO, out.fd));

  std::vector<std::string> arguments = options.argv;
  std::vector<std::string> environment;
  if (options.environment) {
    for (const auto& [name, value] : *options.environment) {
      environment.push_back(fmt::format("{}={}", name, value));
    }
  }
  const std::vector<char*> argument_pointers = pointers(arguments);
  const std::vector<char*> environment_pointers = pointers(environment);
  platform::ChildStart start{
      .argv = argument_pointers.data(),
      .environment = options.environment ? environment_pointers.data() : ::environ,
      .working_directory =
          options.working_directory.empty() ? nullptr : options.working_directory.c_str(),
      .streams = {in.fd, out.fd, error.fd},
      .new_session = options.new_session,
      .end_with_us = options.end_with_us};
  ::sigemptyset(&start.blocked);
  for (const int signal : options.blocked_signals) ::sigaddset(&start.blocked, signal);
  pid_t pid = 0;
  const int failed = platform::fork_exec(start, pid);
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
