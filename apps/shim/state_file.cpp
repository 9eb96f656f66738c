#include "state_file.h"

#include <cerrno>
#include <cstdio>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace berth::shim {
namespace {

// More than any state takes: the two free texts are cut at kTextLimit, which quoting at most
// sextuples.
constexpr std::size_t kFileSize = 8192;
constexpr std::size_t kTextLimit = 512;

bool write_at_start(int fd, std::string_view text) {
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t n =
        ::pwrite(fd, text.data() + done, text.size() - done, static_cast<off_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    done += static_cast<std::size_t>(n);
  }
  return true;
}

std::string number_or_null(const std::optional<std::int64_t>& number) {
  return number ? std::to_string(*number) : "null";
}

}  // namespace

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text.substr(0, kTextLimit)) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20) {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\u%04x", byte);
      out += escaped;
    } else {
      out += byte < 0x7f ? c : '?';
    }
  }
  return out += '"';
}

std::string to_json(const State& state) {
  std::string out = "{\"version\": 1";
  const auto member = [&out](std::string_view name, std::string_view value) {
    out += ",\n \"";
    out += name;
    out += "\": ";
    out += value;
  };
  member("instance", quoted(state.instance));
  member("generation", std::to_string(state.generation));
  member("attempt", std::to_string(state.attempt));
  member("shim_pid", std::to_string(state.shim_pid));
  member("shim_start_time", std::to_string(state.shim_start_time));
  member("engine_pid", std::to_string(state.engine_pid));
  member("engine_start_time", std::to_string(state.engine_start_time));
  member("boot_id", quoted(state.boot_id));
  member("state", quoted(state.phase));
  member("exit_code", number_or_null(state.exit_code));
  member("signal", number_or_null(state.signal));
  member("stop_requested", state.stop_requested ? "true" : "false");
  member("core_limit", std::to_string(state.core_limit));
  member("started_at", std::to_string(state.started_at));
  member("ended_at", number_or_null(state.ended_at));
  member("log_dropped_bytes", std::to_string(state.log_dropped_bytes));
  member("error", quoted(state.error));
  return out += "}\n";
}

StateFile::StateFile(std::string path) : path_(std::move(path)), next_path_(path_ + ".next") {
  lay_out_next();
}

void StateFile::lay_out_next() {
  next_fd_ =
      ::open(next_path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
  if (next_fd_ < 0) return;
  if (write_at_start(next_fd_, std::string(kFileSize, ' '))) return;
  ::close(next_fd_);
  ::unlink(next_path_.c_str());
  next_fd_ = -1;
}

bool StateFile::replace(const State& state) {
  if (next_fd_ < 0) lay_out_next();
  if (next_fd_ < 0) return false;
  std::string text = to_json(state);
  text.resize(kFileSize, ' ');
  const bool written = write_at_start(next_fd_, text);
  ::close(std::exchange(next_fd_, -1));
  return written && std::rename(next_path_.c_str(), path_.c_str()) == 0;
}

bool StateFile::write(const State& state) {
  const bool replaced = replace(state);
  lay_out_next();
  return replaced;
}

bool StateFile::write_last(const State& state) { return replace(state); }

}  // namespace berth::shim
