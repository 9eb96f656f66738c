// The disk that tests let fail, and that it does fail.
#include "store/faulty_disk.h"

#include "store/test_database.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <new>
#include <stdexcept>

#include <gtest/gtest.h>

namespace berth::store {
namespace {

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

// SQLite's handle of an open file: the first member is what SQLite knows.
struct FaultyDisk::File {
  sqlite3_file known;
  sqlite3_file* real;
  FaultyDisk* disk;
  Durable* durable;  // null for temporary files

  static File& of(sqlite3_file* file) { return *reinterpret_cast<File*>(file); }
};

FaultyDisk::FaultyDisk(std::uint64_t seed)
    : base_(sqlite3_vfs_find(nullptr)), vfs_(*base_), random_(seed) {
  vfs_.szOsFile = sizeof(File);
  vfs_.zName = "faulty";
  vfs_.pNext = nullptr;
  vfs_.pAppData = this;
  vfs_.xOpen = &FaultyDisk::open;
  // The rest works on names, with the base's own data.
  vfs_.xDelete = [](sqlite3_vfs* vfs, const char* name, int flush) {
    auto& disk = *static_cast<FaultyDisk*>(vfs->pAppData);
    if (!disk.has_power()) return SQLITE_IOERR_DELETE;
    disk.files_.erase(name);
    return disk.base_->xDelete(disk.base_, name, flush);
  };
  vfs_.xAccess = [](sqlite3_vfs* vfs, const char* name, int flags, int* out) {
    auto& base = *static_cast<FaultyDisk*>(vfs->pAppData)->base_;
    return base.xAccess(&base, name, flags, out);
  };
  vfs_.xFullPathname = [](sqlite3_vfs* vfs, const char* name, int size, char* out) {
    auto& base = *static_cast<FaultyDisk*>(vfs->pAppData)->base_;
    return base.xFullPathname(&base, name, size, out);
  };
  if (sqlite3_vfs_register(&vfs_, 1) != SQLITE_OK) throw std::runtime_error("no VFS");
}

FaultyDisk::~FaultyDisk() {
  sqlite3_vfs_unregister(&vfs_);
  sqlite3_vfs_register(base_, 1);
}

bool FaultyDisk::take_operation() {
  if (!operations_left_) return true;
  if (*operations_left_ > 0) --*operations_left_;
  return *operations_left_ > 0;
}

int FaultyDisk::open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out) {
  auto& disk = *static_cast<FaultyDisk*>(vfs->pAppData);
  auto& self = File::of(file);
  self.known.pMethods = nullptr;
  const bool lasting = name != nullptr && (flags & SQLITE_OPEN_DELETEONCLOSE) == 0;
  const std::string before = lasting ? content_of(name) : std::string();
  auto* real = static_cast<sqlite3_file*>(std::calloc(1, disk.base_->szOsFile));
  if (real == nullptr) return SQLITE_NOMEM;
  const int code = disk.base_->xOpen(disk.base_, name, real, flags, out);
  if (code != SQLITE_OK) {
    std::free(real);
    return code;
  }
  self.real = real;
  self.disk = &disk;
  self.durable = nullptr;
  if (lasting) {
    self.durable = &disk.files_.try_emplace(name, Durable{.content = before}).first->second;
  }
  self.known.pMethods = methods();
  return SQLITE_OK;
}

int FaultyDisk::write(sqlite3_file* file, const void* data, int size, sqlite3_int64 at) {
  auto& self = File::of(file);
  if (!self.disk->take_operation()) return SQLITE_IOERR_WRITE;
  auto& room = self.disk->room_;
  const auto wanted = static_cast<std::uint64_t>(size);
  const std::uint64_t fitting = room ? std::min(*room, wanted) : wanted;
  if (room) *room -= fitting;
  if (fitting > 0) {
    const int code = self.real->pMethods->xWrite(self.real, data, static_cast<int>(fitting), at);
    if (code != SQLITE_OK) return code;
    if (self.durable != nullptr) {
      self.durable->pending.push_back(
          {static_cast<std::uint64_t>(at), std::string(static_cast<const char*>(data), fitting)});
    }
  }
  return fitting == wanted ? SQLITE_OK : SQLITE_FULL;
}

int FaultyDisk::truncate(sqlite3_file* file, sqlite3_int64 size) {
  auto& self = File::of(file);
  if (!self.disk->take_operation()) return SQLITE_IOERR_TRUNCATE;
  return self.real->pMethods->xTruncate(self.real, size);
}

int FaultyDisk::sync(sqlite3_file* file, int flags) {
  auto& self = File::of(file);
  if (!self.disk->take_operation()) return SQLITE_IOERR_FSYNC;
  const int code = self.real->pMethods->xSync(self.real, flags);
  if (code != SQLITE_OK || self.durable == nullptr) return code;
  sqlite3_int64 size = 0;
  self.real->pMethods->xFileSize(self.real, &size);
  self.durable->pending.clear();
  self.durable->content.resize(static_cast<std::size_t>(size));
  if (size == 0) return SQLITE_OK;
  return self.real->pMethods->xRead(self.real, self.durable->content.data(), static_cast<int>(size),
                                    0);
}

void FaultyDisk::restore_power() {
  for (auto& [path, durable] : files_) {
    std::string content = durable.content;
    for (const PendingWrite& write : durable.pending) {
      if (random_() % 2 == 0) continue;
      content.resize(std::max<std::size_t>(content.size(), write.at + write.bytes.size()));
      content.replace(write.at, write.bytes.size(), write.bytes);
    }
    std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
    std::error_code ignored;  // an index in shared memory, made anew
    std::filesystem::remove(path + "-shm", ignored);
  }
  files_.clear();
  operations_left_.reset();
}

const sqlite3_io_methods* FaultyDisk::methods() {
  static const sqlite3_io_methods methods = [] {
    sqlite3_io_methods m{};
    m.iVersion = 2;
    m.xClose = [](sqlite3_file* file) {
      auto& self = File::of(file);
      const int code = self.real->pMethods->xClose(self.real);
      std::free(self.real);
      return code;
    };
    m.xRead = [](sqlite3_file* file, void* out, int size, sqlite3_int64 at) {
      sqlite3_file* real = File::of(file).real;
      return real->pMethods->xRead(real, out, size, at);
    };
    m.xWrite = &FaultyDisk::write;
    m.xTruncate = &FaultyDisk::truncate;
    m.xSync = &FaultyDisk::sync;
    m.xFileSize = [](sqlite3_file* file, sqlite3_int64* size) {
      sqlite3_file* real = File::of(file).real;
      return real->pMethods->xFileSize(real, size);
    };
    m.xLock = [](sqlite3_file* file, int level) {
      sqlite3_file* real = File::of(file).real;
      return real->pMethods->xLock(real, level);
    };
    m.xUnlock = [](sqlite3_file* file, int level) {
      sqlite3_file* real = File::of(file).real;
      return real->pMethods->xUnlock(real, level);
    };
    m.xCheckReservedLock = [](sqlite3_file* file, int* out) {
      sqlite3_file* real = File::of(file).real;
      return real->pMethods->xCheckReservedLock(real, out);
    };
    m.xFileControl = [](sqlite3_file* file, int what, void* argument) {
      sqlite3_file* real = File::of(file).real;
      return real->pMethods->xFileControl(real, what, argument);
    };
    m.xSectorSize = [](sqlite3_file* file) {
      sqlite3_file* real = File::of(file).real;
      return real->pMethods->xSectorSize(real);
    };
    m.xDeviceCharacteristics = [](sqlite3_file* file) {
      sqlite3_file* real = File::of(file).real;
      return real->pMethods->xDeviceCharacteristics(real);
    };
    m.xShmMap = [](sqlite3_file* file, int page, int size, int extend, void volatile** out) {
      sqlite3_file* real = File::of(file).real;
      return real->pMethods->xShmMap(real, page, size, extend, out);
    };
    m.xShmLock = [](sqlite3_file* file, int offset, int count, int flags) {
      sqlite3_file* real = File::of(file).real;
      return real->pMethods->xShmLock(real, offset, count, flags);
    };
    m.xShmBarrier = [](sqlite3_file* file) {
      sqlite3_file* real = File::of(file).real;
      real->pMethods->xShmBarrier(real);
    };
    m.xShmUnmap = [](sqlite3_file* file, int remove) {
      sqlite3_file* real = File::of(file).real;
      return real->pMethods->xShmUnmap(real, remove);
    };
    return m;
  }();
  return &methods;
}

namespace {

// Commits until the power fails, unflushed, and opens again: how many commits are gone.
Revision lost_without_flushes() {
  const SqliteTestDatabase database;
  FaultyDisk disk(1);
  Revision acknowledged = 0;
  {
    const auto store = open_sqlite(database.path(), {.survive_power_loss = false});
    disk.lose_power_after(200);
    while (const auto done = (*store)->put("kind", "name", {{"x", 1}})) acknowledged = *done;
  }
  disk.restore_power();
  const auto store = open_sqlite(database.path());
  return acknowledged - (*store)->revision().value();
}

TEST(FaultyDisk, ForgetsWhatWasNotFlushed) { EXPECT_GT(lost_without_flushes(), 0U); }

TEST(FaultyDisk, TakesNoMoreThanItHoldsAndMoreWhenThereIsSpace) {
  const SqliteTestDatabase database;
  FaultyDisk disk(1);
  const auto store = open_sqlite(database.path());
  ASSERT_TRUE(store);
  disk.fill_up_after(100);
  EXPECT_FALSE((*store)->put("kind", "name", {{"x", 1}}));
  disk.free_space();
  EXPECT_TRUE((*store)->put("kind", "name", {{"x", 1}}));
}

}  // namespace
}  // namespace berth::store
