#include "process/spawn.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

namespace berth::process {
namespace {

constexpr std::size_t kLongestLine = 16 << 10;
constexpr Duration kStopPoll{50};       // how late a stop request may be seen
constexpr std::size_t kLastReads = 64;  // after the end: more than a pipe holds

// One captured stream: what is kept of it, and its lines.
class Capture {
 public:
  Capture(OwnedFd fd, OutputStream stream, std::size_t limit, const OnLine& on_line)
      : fd_(std::move(fd)), stream_(stream), limit_(limit), on_line_(on_line) {
    if (fd_.valid()) ::fcntl(fd_.get(), F_SETFL, O_NONBLOCK);
  }

  [[nodiscard]] int fd() const { return fd_.get(); }

  // Reads one piece; false if there is none now, or ever.
  bool read_piece() {
    if (!fd_.valid()) return false;
    std::array<char, 16 << 10> buffer{};
    const ssize_t n = ::read(fd_.get(), buffer.data(), buffer.size());
    if (n < 0) return errno == EINTR;
    if (n == 0) {
      fd_.reset();
      return false;
    }
    take({buffer.data(), static_cast<std::size_t>(n)});
    return true;
  }

  void finish() {
    for (std::size_t reads = 0; reads < kLastReads && read_piece(); ++reads) {
    }
    if (!line_.empty()) end_line();
  }

  std::string text;
  std::string last_line;
  bool truncated = false;

 private:
  void take(std::string_view piece) {
    const std::size_t room = limit_ - text.size();
    text += piece.substr(0, room);
    truncated = truncated || piece.size() > room;
    while (!piece.empty()) {
      const std::size_t end = piece.find_first_of("\r\n");
      line_ += piece.substr(0, std::min(end, kLongestLine - line_.size()));
      if (end == std::string_view::npos) return;
      end_line();
      piece.remove_prefix(end + 1);
    }
  }

  void end_line() {
    if (line_.empty()) return;
    if (on_line_) on_line_(stream_, line_);
    last_line.swap(line_);
    line_.clear();
  }

  OwnedFd fd_;
  OutputStream stream_;
  std::size_t limit_;
  const OnLine& on_line_;
  std::string line_;
};

enum class Ending { by_itself, timeout, stopped };

// Reads until the child has ended, the deadline has passed or a stop is asked for.
Ending follow(const Child& child, Capture& out, Capture& error, const RunLimits& limits) {
  const SteadyTime deadline = std::chrono::steady_clock::now() + limits.timeout;
  for (;;) {
    if (limits.stop.stop_requested()) return Ending::stopped;
    const auto left = std::chrono::ceil<Duration>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return Ending::timeout;
    const Duration slice = limits.stop.stop_possible() ? kStopPoll : Duration(60'000);
    std::array<pollfd, 3> events{
        {{child.pidfd.fd(), POLLIN, 0}, {out.fd(), POLLIN, 0}, {error.fd(), POLLIN, 0}}};
    ::poll(events.data(), events.size(), static_cast<int>(std::min(left, slice).count()));
    if (events[1].revents != 0) out.read_piece();
    if (events[2].revents != 0) error.read_piece();
    if (events[0].revents != 0) return Ending::by_itself;
  }
}

}  // namespace

Result<RunOutput> run(SpawnOptions options, RunLimits limits, const OnLine& on_line) {
  options.new_session = true;  // so that its group can be killed
  options.end_with_us = true;
  for (Stdio* stdio : {&options.standard_output, &options.standard_error}) {
    if (stdio->kind == Stdio::Kind::null) stdio->kind = Stdio::Kind::pipe;
  }
  BERTH_TRY(Child child, spawn(options));
  child.standard_input.reset();
  Capture out(std::move(child.standard_output), OutputStream::out, limits.output.count, on_line);
  Capture error(std::move(child.standard_error), OutputStream::error, limits.output.count, on_line);
  const Ending ending = follow(child, out, error, limits);
  // Before the child is reaped: until then no other group can have its number.
  ::kill(-child.identity.pid, SIGKILL);
  const bool ended = child.pidfd.wait(std::chrono::seconds(10));
  Pidfd::ExitStatus status;
  if (!ended || !child.pidfd.reap(&status)) {
    return fail(ErrorCode::internal, "{} did not end after SIGKILL", options.argv.front());
  }
  out.finish();
  error.finish();
  if (ending != Ending::by_itself) {
    const std::string& last = error.last_line.empty() ? out.last_line : error.last_line;
    if (ending == Ending::stopped) {
      return fail(ErrorCode::cancelled, "{} was stopped", options.argv.front());
    }
    return fail(ErrorCode::timeout, "{} did not end within {} ms; its last line: {}",
                options.argv.front(), limits.timeout.count(), last.empty() ? "(none)" : last);
  }
  return RunOutput{.exit_code = status.exit_code,
                   .signal = status.signal,
                   .standard_output = std::move(out.text),
                   .standard_error = std::move(error.text),
                   .truncated = out.truncated || error.truncated};
}

}  // namespace berth::process
