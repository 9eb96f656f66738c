// LogTrail: a log as somebody wants to read it: from a place on, as it grows, and from one attempt
// of an engine to the next.
#pragma once

#include "base/clock.h"
#include "base/data_folder.h"
#include "base/result.h"
#include "worker/member_folder.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <sys/types.h>

namespace berth::worker {

struct LogWish {
  std::optional<std::size_t> tail;       // only so many of the last lines
  std::optional<std::uint32_t> attempt;  // of this one; else of the last one and those that follow
  std::uint32_t member = 0;              // of a gang
  bool previous = false;                 // of the one before the last
  bool follow = false;                   // goes on as more is written
  std::optional<SystemTime> since;       // only what was written from then on, to the second
};

// Where in an engine's log that begins which was written from `since` on: by the times that its
// shim noted beside it (see apps/shim/log_file.h); without them, by when the file was written
// last. Its end where nothing was. Blocks.
off_t offset_since(const std::filesystem::path& log, SystemTime since);

// The same for a log whose lines begin with a time.
off_t offset_of_time(const std::filesystem::path& log, SystemTime since);

// Not thread-safe. The calls block on the disk.
class LogTrail {
 public:
  // An engine's. With `since`, of every attempt that wrote something from then on. Fails with
  // not_found.
  static Result<LogTrail> of_instance(const DataFolder& data, const std::string& instance,
                                      const LogWish& wish);
  // The worker's own. Fails with not_found.
  static Result<LogTrail> of_worker(const DataFolder& data, const LogWish& wish);

  LogTrail(LogTrail&& other) noexcept;
  LogTrail& operator=(LogTrail&&) = delete;
  ~LogTrail();

  // The next piece; empty where there is nothing new.
  Result<std::string> next();
  // Whether nothing more can come: a later attempt is there, or the instance is gone.
  [[nodiscard]] bool is_over() const;

 private:
  explicit LogTrail(std::filesystem::path path) : path_(std::move(path)) {}
  void begin_at(off_t offset, const std::optional<std::size_t>& tail);
  void move_to(AttemptLog log);
  Result<std::string> read_on();
  void reopen_if_replaced();
  [[nodiscard]] std::optional<AttemptLog> next_attempt() const;

  std::filesystem::path path_;
  std::optional<DataFolder> data_;  // where an instance's attempts are followed
  std::string instance_;
  std::uint32_t member_ = 0;
  std::optional<std::uint32_t> attempt_;  // the one that is read
  bool stays_ = false;                    // with this attempt
  std::string first_;                     // read already
  int fd_ = -1;
  off_t offset_ = 0;
};

}  // namespace berth::worker
