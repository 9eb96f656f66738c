#include "store/sqlite_schema.h"

#include <array>
#include <cerrno>
#include <string_view>
#include <system_error>

#include <fcntl.h>
#include <unistd.h>

namespace berth::store::sqlite {
namespace {

namespace fs = std::filesystem;

// Marks the file as ours, in its header: "Brth".
constexpr std::int64_t kApplicationId = 0x42727468;

// Texts compare bytewise. `changes` holds the last changes only: all above state.compacted, one
// for each revision.
constexpr std::string_view kFirstSchema = R"sql(
CREATE TABLE state(
  id INTEGER PRIMARY KEY CHECK (id = 1),
  revision BIGINT NOT NULL,
  compacted BIGINT NOT NULL
);
INSERT INTO state(id, revision, compacted) VALUES (1, 0, 0);

CREATE TABLE documents(
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  revision BIGINT NOT NULL,
  data TEXT NOT NULL,
  PRIMARY KEY (kind, name)
);

CREATE TABLE changes(
  revision INTEGER PRIMARY KEY,
  removed INTEGER NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  size BIGINT NOT NULL,
  data TEXT NOT NULL
);

CREATE TABLE events(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  time BIGINT NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  level TEXT NOT NULL,
  reason TEXT NOT NULL,
  message TEXT NOT NULL
);
CREATE INDEX events_by_object ON events(kind, name, id);
)sql";

Result<void> migrate(Connection& connection, std::span<const std::string> steps) {
  for (;;) {
    BERTH_TRY(const auto version, connection.integer("SELECT version FROM schema_version"));
    if (static_cast<std::size_t>(version) >= steps.size()) return {};
    BERTH_TRY(Transaction transaction, Transaction::start(connection, "BEGIN IMMEDIATE"));
    BERTH_CHECK(connection.run(steps[static_cast<std::size_t>(version)]));
    BERTH_CHECK(connection.run("UPDATE schema_version SET version = version + 1"));
    BERTH_CHECK(transaction.commit());
  }
}

// Makes the file under another name and renames it once it is complete and on the disk.
Result<void> create(const fs::path& path, std::span<const std::string> steps) {
  const fs::path temporary = path.string() + ".new";
  std::error_code ignored;  // leftovers of an attempt that was killed
  fs::remove(temporary, ignored);
  fs::remove(temporary.string() + "-journal", ignored);
  const int fd = ::open(temporary.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return fail_errno(errno, "creating {}", temporary.string());
  ::close(fd);
  auto made = [&]() -> Result<void> {
    BERTH_TRY(auto connection, Connection::open(temporary));
    BERTH_CHECK(connection->run(fmt::format("PRAGMA application_id = {}", kApplicationId)));
    BERTH_CHECK(
        connection->run("CREATE TABLE schema_version(version BIGINT NOT NULL);"
                        "INSERT INTO schema_version(version) VALUES (0)"));
    return migrate(*connection, steps);
  }();
  if (made && ::rename(temporary.c_str(), path.c_str()) != 0) {
    made = fail_errno(errno, "renaming {} to {}", temporary.string(), path.string());
  }
  if (!made) {
    fs::remove(temporary, ignored);
    fs::remove(temporary.string() + "-journal", ignored);
    return made;
  }
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  const int folder_fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder_fd < 0) return fail_errno(errno, "opening {}", folder.string());
  const bool flushed = ::fsync(folder_fd) == 0;
  const int error = errno;
  ::close(folder_fd);
  if (!flushed) return fail_errno(error, "flushing {}", folder.string());
  return {};
}

Error damaged(const fs::path& path, std::string_view why) {
  return make_error(ErrorCode::corrupt,
                    "the database {} is damaged: {}. It has been left as it is. Restore a copy of "
                    "it, or move it away to begin anew",
                    path.string(), why);
}

// The whole file, before anything is written to it.
Result<void> check(Connection& connection) {
  const fs::path& path = connection.path();
  {
    BERTH_TRY(Query query, connection.query("PRAGMA quick_check(1)"));
    BERTH_TRY(const bool row, query.step());
    if (!row || query.text(0) != "ok")
      return fail(damaged(path, row ? query.text(0) : "no answer"));
  }
  BERTH_TRY(const auto id, connection.integer("PRAGMA application_id"));
  if (id != kApplicationId) {
    return fail(ErrorCode::corrupt,
                "{} is a database, but none of Berth: it has been left as it is", path.string());
  }
  if (connection.read_only()) {
    return fail(ErrorCode::io, "{} is read-only: check its owner and its mode", path.string());
  }
  return {};
}

Result<void> update_schema(Connection& connection, std::span<const std::string> steps) {
  const fs::path& path = connection.path();
  BERTH_TRY(const auto version, connection.integer("SELECT version FROM schema_version"));
  if (static_cast<std::size_t>(version) > steps.size()) {
    return fail(
        ErrorCode::unsupported,
        "{} has schema {}, and this version of Berth knows up to {}. It has been left as it "
        "is. Start a newer Berth, or put back the copy that the newer one made before it "
        "changed the schema ({}.schema-{}, without what was written since)",
        path.string(), version, steps.size(), path.string(), steps.size());
  }
  if (static_cast<std::size_t>(version) == steps.size()) return {};
  const fs::path copy = fmt::format("{}.schema-{}", path.string(), version);
  std::error_code ignored;
  fs::remove(copy, ignored);  // of an attempt that was killed
  const int fd = ::open(copy.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return fail_errno(errno, "creating {}", copy.string());
  ::close(fd);
  {
    BERTH_TRY(Query query, connection.query("VACUUM INTO $1", std::string_view(copy.native())));
    BERTH_CHECK(query.run());
  }
  return migrate(connection, steps);
}

}  // namespace

std::span<const std::string> schema_steps() {
  static const std::array<std::string, 1> steps = {std::string(kFirstSchema)};
  return steps;
}

Result<std::unique_ptr<Connection>> open_database(const fs::path& path,
                                                  std::span<const std::string> steps) {
  std::error_code error;
  const bool exists = fs::exists(path, error);
  if (error) return fail_errno(error.value(), "opening {}", path.string());
  std::error_code absent;
  const auto log_size = fs::file_size(path.string() + "-wal", absent);
  const bool has_log = !absent && log_size > 0;
  // SQLite would throw the log away.
  if (!exists && has_log) return fail(damaged(path, "it is missing, and its log is there"));
  if (!exists) BERTH_CHECK(create(path, steps));
  if (fs::file_size(path, error) == 0) return fail(damaged(path, "it is empty"));
  BERTH_TRY(auto connection, Connection::open(path));
  BERTH_CHECK(check(*connection));
  BERTH_CHECK(update_schema(*connection, steps));
  connection->checkpoint_on_close();
  return connection;
}

}  // namespace berth::store::sqlite
