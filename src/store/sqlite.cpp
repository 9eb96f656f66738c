#include "store/sqlite.h"

#include <chrono>
#include <utility>

#include <spdlog/spdlog.h>

namespace berth::store::sqlite {
namespace {

// Only another program can hold the database: a backup, a person with a shell.
constexpr std::chrono::milliseconds kBusyTimeout(5000);

bool is_write_failure(int extended) {
  return extended == SQLITE_IOERR_WRITE || extended == SQLITE_IOERR_FSYNC ||
         extended == SQLITE_IOERR_DIR_FSYNC || extended == SQLITE_IOERR_TRUNCATE;
}

Error io_error(sqlite3* handle, const std::filesystem::path& path, bool in_service) {
  const int extended = sqlite3_extended_errcode(handle);
  const bool unwritable = is_write_failure(extended);
  auto what = unwritable ? fmt::format(
                               "the disk that holds {} can not be written ({}, SQLite code "
                               "{}), and nothing was changed: look at the system's log",
                               path.string(), sqlite3_errmsg(handle), extended)
                         : fmt::format("the database {}: {} (SQLite code {})", path.string(),
                                       sqlite3_errmsg(handle), extended);
  // SQLite does not always keep the system's reason.
  const int system = sqlite3_system_errno(handle);
  Error error =
      system == 0 ? make_error(ErrorCode::io, "{}", what) : errno_error(system, std::move(what));
  if (unwritable && in_service) error.code = ErrorCode::unavailable;
  if (extended == SQLITE_CANTOPEN) error.causes.emplace_back("check its owner and its mode");
  return error;
}

Error make_sqlite_error(sqlite3* handle, int code, const std::filesystem::path& path,
                        bool in_service) {
  const char* text = sqlite3_errmsg(handle);
  switch (code & 0xff) {
    case SQLITE_FULL:
      return make_error(in_service ? ErrorCode::unavailable : ErrorCode::io,
                        "the disk that holds {} is full, and nothing was changed: free some space",
                        path.string());
    case SQLITE_READONLY:
      return make_error(in_service ? ErrorCode::unavailable : ErrorCode::io,
                        "{} can not be written ({}): check its disk, its owner and its mode",
                        path.string(), text);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: {
      auto error = damaged_error(path, text);
      if (in_service) error.code = ErrorCode::internal;
      return error;
    }
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return make_error(ErrorCode::unavailable, "the database {} is locked by another program",
                        path.string());
    case SQLITE_CANTOPEN:
    case SQLITE_IOERR:
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_NOMEM:
      return io_error(handle, path, in_service);
    default:
      return make_error(ErrorCode::internal, "the database {}: {} (SQLite code {})", path.string(),
                        text, sqlite3_extended_errcode(handle));
  }
}

}  // namespace

Error damaged_error(const std::filesystem::path& path, std::string_view why) {
  return make_error(
      ErrorCode::corrupt,
      "the database {0} is damaged: {1}. It has been left as it is. Ways back: put back a copy of "
      "it (and take {0}-wal away); or get out what can be read, with .recover in a shell of SQLite "
      "that has it; or move it and {0}-wal away to begin anew",
      path.string(), why);
}

void Query::Reset::operator()(sqlite3_stmt* statement) const {
  sqlite3_reset(statement);  // repeats the error of the last step, which has been told
  sqlite3_clear_bindings(statement);
}

Result<bool> Query::step() {
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return fail(connection_->error(code));
}

Result<void> Query::run() {
  BERTH_TRY(const bool row, step());
  if (row) return fail(ErrorCode::internal, "a statement has returned a row that nobody expects");
  return {};
}

std::int64_t Query::integer(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}

std::string_view Query::text(int column) const {
  const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(statement_.get(), column));
  if (data == nullptr) return {};
  return {data, static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column))};
}

Result<void> Query::check_bind(int code) const {
  if (code == SQLITE_OK) return {};
  return fail(connection_->error(code));
}

Result<void> Query::bind(int parameter, std::int64_t value) {
  // To SQLite "$1" is a name, numbered by first appearance.
  const int index =
      sqlite3_bind_parameter_index(statement_.get(), fmt::format("${}", parameter).c_str());
  return check_bind(sqlite3_bind_int64(statement_.get(), index, value));
}

Result<void> Query::bind(int parameter, std::string_view value) {
  const int index =
      sqlite3_bind_parameter_index(statement_.get(), fmt::format("${}", parameter).c_str());
  return check_bind(sqlite3_bind_text64(statement_.get(), index, value.data(), value.size(),
                                        SQLITE_TRANSIENT, SQLITE_UTF8));
}

Result<std::unique_ptr<Connection>> Connection::open(const std::filesystem::path& path) {
  return open(path, path.string(), SQLITE_OPEN_READWRITE);
}

Result<std::unique_ptr<Connection>> Connection::open_without_log(
    const std::filesystem::path& path) {
  std::string uri = "file:";
  for (const char c : path.string()) {
    const bool special = c == '%' || c == '?' || c == '#';
    uri += special ? fmt::format("%{:02x}", c) : std::string(1, c);
  }
  return open(path, uri + "?immutable=1", SQLITE_OPEN_READONLY | SQLITE_OPEN_URI);
}

Result<std::unique_ptr<Connection>> Connection::open(const std::filesystem::path& path,
                                                     const std::string& name, int flags) {
  sqlite3* handle = nullptr;
  // One thread at a time by our own lock: SQLite's is not needed.
  const int code = sqlite3_open_v2(name.c_str(), &handle, flags | SQLITE_OPEN_NOMUTEX, nullptr);
  if (handle == nullptr) return fail(ErrorCode::internal, "no memory to open {}", path.string());
  if (code != SQLITE_OK) {
    auto error = make_sqlite_error(handle, code, path, false);
    sqlite3_close(handle);
    return fail(std::move(error));
  }
  sqlite3_extended_result_codes(handle, 1);
  sqlite3_busy_timeout(handle, static_cast<int>(kBusyTimeout.count()));
  sqlite3_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  return std::unique_ptr<Connection>(new Connection(handle, path));
}

Connection::Connection(sqlite3* handle, std::filesystem::path path)
    : handle_(handle), path_(std::move(path)) {}

Connection::~Connection() {
  for (const auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  sqlite3_close(handle_);
}

Result<void> Connection::run(const std::string& sql) {
  const int code = sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return fail(error(code));
  return {};
}

Result<Query> Connection::prepare(std::string_view sql) {
  auto found = statements_.find(sql);
  if (found == statements_.end()) {
    sqlite3_stmt* statement = nullptr;
    const int code = sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()),
                                        SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
    if (code != SQLITE_OK) return fail(error(code));
    found = statements_.emplace(std::string(sql), statement).first;
  }
  return Query(found->second, this);
}

Result<std::int64_t> Connection::integer(std::string_view sql) {
  BERTH_TRY(Query query, prepare(sql));
  BERTH_TRY(const bool row, query.step());
  if (!row) return fail(damaged_error(path_, "it lacks a row of its own"));
  return query.integer(0);
}

void Connection::begin_service() {
  in_service_ = true;
  sqlite3_db_config(handle_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, nullptr);
}

Error Connection::error(int code) const {
  return make_sqlite_error(handle_, code, path_, in_service_);
}

bool Connection::read_only() const { return sqlite3_db_readonly(handle_, "main") == 1; }

bool Connection::in_transaction() const { return sqlite3_get_autocommit(handle_) == 0; }

Result<Transaction> Transaction::start(Connection& connection, std::string_view begin) {
  BERTH_TRY(Query query, connection.query(begin));
  BERTH_CHECK(query.run());
  return Transaction(connection);
}

Transaction::Transaction(Transaction&& other) noexcept
    : connection_(std::exchange(other.connection_, nullptr)) {}

Transaction::~Transaction() {
  // SQLite has rolled back by itself after some errors (disk full, input and output).
  if (connection_ == nullptr || !connection_->in_transaction()) return;
  if (auto done = connection_->run("ROLLBACK"); !done) {
    spdlog::error("rolling back: {}", done.error().to_string());
  }
}

Result<void> Transaction::commit() {
  BERTH_TRY(Query query, connection_->query("COMMIT"));
  return query.run();
}

}  // namespace berth::store::sqlite
