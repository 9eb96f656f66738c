// For tests: the disk under SQLite, which fills up, or loses its power with what was not flushed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <sqlite3.h>

namespace berth::store {

// While it lives, databases that are opened lie on it. One at a time; for tests with one thread.
class FaultyDisk {
 public:
  explicit FaultyDisk(std::uint64_t seed);
  FaultyDisk(const FaultyDisk&) = delete;
  FaultyDisk& operator=(const FaultyDisk&) = delete;
  ~FaultyDisk();

  // After `bytes` more, writes fail as on a full disk; the one that no longer fits is cut short.
  void fill_up_after(std::uint64_t bytes) { room_ = bytes; }
  void free_space() { room_.reset(); }

  // After `operations` more writes, truncations and flushes, every one fails.
  void lose_power_after(std::uint64_t operations) { operations_left_ = operations; }
  [[nodiscard]] bool has_power() const { return operations_left_ != 0; }
  // The machine starts again: each file has what was flushed, and of what was written since, each
  // piece or not, by chance. Close the database first.
  void restore_power();

 private:
  struct File;
  struct PendingWrite {
    std::uint64_t at = 0;
    std::string bytes;
  };
  // A file as the platter has it.
  struct Durable {
    std::string content;
    std::vector<PendingWrite> pending;  // in the cache only
  };

  static int open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out);
  static int write(sqlite3_file* file, const void* data, int size, sqlite3_int64 at);
  static int truncate(sqlite3_file* file, sqlite3_int64 size);
  static int sync(sqlite3_file* file, int flags);
  static const sqlite3_io_methods* methods();

  bool take_operation();

  sqlite3_vfs* const base_;
  sqlite3_vfs vfs_;
  std::mt19937_64 random_;
  std::optional<std::uint64_t> room_;
  std::optional<std::uint64_t> operations_left_;
  std::map<std::string, Durable> files_;
};

}  // namespace berth::store
