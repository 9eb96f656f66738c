// The database file of the SQLite store: making it, checking it, and bringing its schema up to
// date. Private to this module.
#pragma once

#include "base/result.h"
#include "store/sqlite.h"

#include <filesystem>
#include <memory>
#include <span>
#include <string>

namespace berth::store::sqlite {

// The steps of the schema, forward only; the schema's version is the number of steps done.
std::span<const std::string> schema_steps();

// Opens the database at `path`; makes it (0600) if neither it nor a log of it is there. It appears
// under its name complete, so an empty or partial file is always damage. Checks the whole file
// (quick_check) and does the steps that it lacks, after a copy to `path`.schema-VERSION.
// Refuses what is damaged, not ours, read-only or newer, and leaves it as it is.
Result<std::unique_ptr<Connection>> open_database(const std::filesystem::path& path,
                                                  std::span<const std::string> steps);

}  // namespace berth::store::sqlite
