// The store on SQLite (WAL): the default, one file and no set-up.
//
// What `commit` acknowledged survives a kill of the process and a loss of power
// (synchronous=FULL). One process at a time: a lock file beside the database says so.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "store/store.h"

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace berth::store {

struct SqliteOptions {
  std::size_t changes_kept = 10'000;  // for watchers that come back
  Bytes change_bytes_kept = 64_MiB;   // their JSON, in the database
  Bytes change_bytes_in_memory =
      4_MiB;  // the newest of them, so that watchers do not read the disk
  std::size_t events_kept = 10'000;
  // Paths of text members for list(kind, field, value): a-z, 0-9, "_", parts joined by ".".
  std::vector<std::string> indexed_fields = {};
  bool survive_power_loss = true;  // false saves a flush a commit; for tests
};

// Opens the database at `path`, made with mode 0600 if it is not there (its folder must be), and
// brings its schema up to date after a copy of the old one beside it.
// Fails with conflict (another process has it), corrupt (damaged, not a database, or not ours: the
// file stays as it is), unsupported (the schema of a newer Berth), invalid_parameter (a field), io.
Result<std::unique_ptr<Store>> open_sqlite(const std::filesystem::path& path,
                                           SqliteOptions options = {});

}  // namespace berth::store
