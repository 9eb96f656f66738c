// LogFile: where the engine's output goes. Bounded on disk, and never in the engine's way.
//
// Beside PATH stands PATH.times: "MILLISECONDS OFFSET" lines, at most one a second, each with the
// time since the epoch and how long the log was before what came then.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace berth::shim {

// Appends to `path`; when a piece would take it past `limit` the file becomes `path`.1 (replacing
// the one before) and a new one begins. What can not be written (disk full) is dropped and counted.
class LogFile {
 public:
  LogFile(std::string path, std::uint64_t limit);
  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;
  ~LogFile();

  void append(const char* data, std::size_t size);
  [[nodiscard]] std::uint64_t dropped() const { return dropped_; }

 private:
  void open();
  void rotate();
  void note_time();

  const std::string path_;
  const std::string old_path_;
  const std::uint64_t limit_;
  int fd_ = -1;
  std::uint64_t size_ = 0;
  std::uint64_t dropped_ = 0;
  bool is_file_ = false;
  int times_fd_ = -1;
  std::int64_t noted_at_ = 0;  // milliseconds since the epoch
};

}  // namespace berth::shim
