#include "store/sqlite_schema.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <fstream>
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

// Tells this database from every other, so that a log which belongs to another one is noticed.
constexpr std::string_view kIdentity = R"sql(
ALTER TABLE state ADD COLUMN identity TEXT NOT NULL DEFAULT '';
UPDATE state SET identity = lower(hex(randomblob(16)));
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

// SQLite's file format, "The Write-Ahead Log", 4.1: magic, version, page size, count, salts, and
// the checksum of those, all big-endian; the magic says in which order the checksum reads.
bool is_log_head(std::span<const unsigned char, 32> head) {
  const auto word = [&](std::size_t i, bool big) {
    std::uint32_t value = 0;
    for (std::size_t k = 0; k < 4; ++k) value = value << 8 | head[4 * i + (big ? k : 3 - k)];
    return value;
  };
  constexpr std::uint32_t kMagic = 0x377f0682;  // and the same plus 1
  const std::uint32_t magic = word(0, true);
  if ((magic & ~1U) != kMagic) return false;
  const bool big = (magic & 1U) != 0;
  std::uint32_t a = 0;
  std::uint32_t b = 0;
  for (std::size_t i = 0; i < 6; i += 2) {
    a += word(i, big) + b;
    b += word(i + 1, big) + a;
  }
  return word(6, true) == a && word(7, true) == b;
}

// Empty where the schema has none yet.
Result<std::string> identity(Connection& connection) {
  BERTH_TRY(const auto known, connection.integer("SELECT COUNT(*) FROM pragma_table_info('state') "
                                                 "WHERE name = 'identity'"));
  if (known == 0) return std::string();
  BERTH_TRY(Query query, connection.query("SELECT identity FROM state"));
  BERTH_TRY(const bool row, query.step());
  return row ? std::string(query.text(0)) : std::string();
}

// SQLite applies any whole log that lies beside a database, also that of another one.
Result<void> check_identity(Connection& connection) {
  BERTH_TRY(const auto bare, Connection::open_without_log(connection.path()));
  auto own = identity(*bare);
  if (!own || own->empty()) return {};  // all of it may still be in the log
  BERTH_TRY(const std::string with_log, identity(connection));
  if (with_log == *own) return {};
  return fail(damaged_error(connection.path(), "its log (-wal) is that of another database"));
}

// SQLite takes a log whose head is damaged for an empty one, and overwrites it.
Result<void> check_log(const fs::path& path) {
  constexpr std::uintmax_t kHead = 32;
  const fs::path log = path.string() + "-wal";
  std::error_code absent;
  const auto size = fs::file_size(log, absent);
  if (absent || size == 0) return {};
  std::array<unsigned char, kHead> head{};
  std::ifstream file(log, std::ios::binary);
  file.read(reinterpret_cast<char*>(head.data()), head.size());
  if (!file && !file.eof()) {
    return fail(ErrorCode::io, "{} can not be read: check its owner and its mode", log.string());
  }
  // A loss of power may leave zeros, before anything in the log was acknowledged.
  const bool nothing = std::all_of(head.begin(), head.end(), [](auto byte) { return byte == 0; });
  if (nothing || is_log_head(head)) return {};
  return fail(damaged_error(path, "its log (-wal) does not begin as one"));
}

// The whole file, before anything is written to it.
Result<void> check(Connection& connection) {
  const fs::path& path = connection.path();
  {
    BERTH_TRY(Query query, connection.query("PRAGMA quick_check(1)"));
    BERTH_TRY(const bool row, query.step());
    if (!row || query.text(0) != "ok") {
      std::string why(row ? query.text(0) : "no answer");
      why.erase(0, why.rfind('\n') + 1);  // a heading, then what was found
      return fail(damaged_error(path, why));
    }
  }
  BERTH_TRY(const auto id, connection.integer("PRAGMA application_id"));
  if (id != kApplicationId) {
    return fail(ErrorCode::corrupt,
                "{} is a database, but none of Berth: it has been left as it is", path.string());
  }
  BERTH_CHECK(check_identity(connection));
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
  static const std::array<std::string, 2> steps = {std::string(kFirstSchema),
                                                   std::string(kIdentity)};
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
  if (!exists && has_log) return fail(damaged_error(path, "it is missing, and its log is there"));
  if (!exists) BERTH_CHECK(create(path, steps));
  if (fs::file_size(path, error) == 0) return fail(damaged_error(path, "it is empty"));
  BERTH_CHECK(check_log(path));
  BERTH_TRY(auto connection, Connection::open(path));
  BERTH_CHECK(check(*connection));
  BERTH_CHECK(update_schema(*connection, steps));
  connection->begin_service();
  return connection;
}

}  // namespace berth::store::sqlite
