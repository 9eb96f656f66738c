// For tests: databases that a store is opened on and reopened, one class an implementation, so that
// the same tests drive each.
#pragma once

#include "base/ids.h"
#include "store/sqlite_store.h"
#include "store/store.h"

#include <cstddef>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>

namespace berth::store {

// What every implementation can be told.
struct TestLimits {
  std::size_t changes_kept = 10'000;
  std::size_t events_kept = 10'000;
};

// Gone with everything in it at the end. One store on it at a time.
class TestDatabase {
 public:
  TestDatabase() = default;
  TestDatabase(const TestDatabase&) = delete;
  TestDatabase& operator=(const TestDatabase&) = delete;
  virtual ~TestDatabase() = default;
  // Indexed by "model" and "status.worker". Throws where the store can not be opened.
  virtual std::unique_ptr<Store> open(TestLimits limits) = 0;
};

using MakeTestDatabase = std::unique_ptr<TestDatabase> (*)();

class SqliteTestDatabase final : public TestDatabase {
 public:
  SqliteTestDatabase()
      : folder(std::filesystem::temp_directory_path() / ("berth-store-" + random_id())) {
    std::filesystem::create_directory(folder);
  }
  ~SqliteTestDatabase() override {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }

  std::unique_ptr<Store> open(TestLimits limits) override {
    auto store = open_sqlite(path(), {.changes_kept = limits.changes_kept,
                                      .change_bytes_in_memory = 2_KiB,  // so that both paths answer
                                      .events_kept = limits.events_kept,
                                      .indexed_fields = {"model", "status.worker"},
                                      .survive_power_loss = false});
    if (!store) throw std::runtime_error(store.error().to_string());
    return std::move(*store);
  }

  [[nodiscard]] std::filesystem::path path() const { return folder / "berth.db"; }

  const std::filesystem::path folder;
};

inline std::unique_ptr<TestDatabase> make_sqlite_test_database() {
  return std::make_unique<SqliteTestDatabase>();
}

}  // namespace berth::store
