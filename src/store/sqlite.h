// A thin layer over SQLite's C interface: connections, cached statements with $1 parameters, and
// transactions, all released by scope. Private to this module.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include <sqlite3.h>

namespace berth::store::sqlite {

class Connection;

// That the database at `path` is damaged, and the ways back.
Error damaged_error(const std::filesystem::path& path, std::string_view why);

// A statement in use; reset and back in its connection's cache when it goes. Move-only.
class Query {
 public:
  Query(sqlite3_stmt* statement, const Connection* connection)
      : statement_(statement), connection_(connection) {}

  // True: a row to read. False: done.
  Result<bool> step();
  // For statements that return nothing.
  Result<void> run();

  // Of the present row, columns from 0. A text is valid until the next step.
  [[nodiscard]] std::int64_t integer(int column) const;
  [[nodiscard]] std::string_view text(int column) const;

  Result<void> bind(int parameter, std::int64_t value);
  Result<void> bind(int parameter, std::uint64_t value) {
    return bind(parameter, static_cast<std::int64_t>(value));
  }
  Result<void> bind(int parameter, std::string_view value);

 private:
  struct Reset {
    void operator()(sqlite3_stmt* statement) const;
  };
  [[nodiscard]] Result<void> check_bind(int code) const;

  std::unique_ptr<sqlite3_stmt, Reset> statement_;
  const Connection* connection_;
};

// A connection. One thread at a time; its address must not change while queries are in use.
class Connection {
 public:
  // The file must exist. A closing connection does not move the write-ahead log into the database
  // until `begin_service` allows it, so that a file that is refused stays as it is.
  static Result<std::unique_ptr<Connection>> open(const std::filesystem::path& path);
  // Reads the file alone, without its log and without a lock: a look that leaves no trace.
  static Result<std::unique_ptr<Connection>> open_without_log(const std::filesystem::path& path);

  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection();

  // Statements without parameters and results, one or several.
  Result<void> run(const std::string& sql);

  // A query with $1, $2, … bound to `values` (integers, texts).
  template <class... Values>
  Result<Query> query(std::string_view sql, const Values&... values) {
    BERTH_TRY(Query query, prepare(sql));
    Result<void> bound;
    int parameter = 0;
    ((bound ? void(bound = query.bind(++parameter, values)) : void()), ...);
    if (!bound) return fail(std::move(bound).error());
    return query;
  }

  // The first column of the first row: for pragmas and counts.
  Result<std::int64_t> integer(std::string_view sql);

  // The file is good. From now on a failure is one of a server that runs (ErrorCode: unavailable
  // where the disk is full or read-only, internal where the file is damaged), and the log is moved
  // into the database when the connection closes.
  void begin_service();
  // The error of the last call, whose result was `code`.
  [[nodiscard]] Error error(int code) const;
  [[nodiscard]] bool read_only() const;
  [[nodiscard]] bool in_transaction() const;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  Connection(sqlite3* handle, std::filesystem::path path);
  static Result<std::unique_ptr<Connection>> open(const std::filesystem::path& path,
                                                  const std::string& name, int flags);
  Result<Query> prepare(std::string_view sql);

  sqlite3* handle_;
  std::filesystem::path path_;
  bool in_service_ = false;
  std::map<std::string, sqlite3_stmt*, std::less<>> statements_;
};

// Rolls back at the end of its scope unless committed.
class Transaction {
 public:
  // `begin`: "BEGIN" for reading one state, "BEGIN IMMEDIATE" for writing.
  static Result<Transaction> start(Connection& connection, std::string_view begin);
  Transaction(Transaction&& other) noexcept;
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();

  Result<void> commit();

 private:
  explicit Transaction(Connection& connection) : connection_(&connection) {}
  Connection* connection_;
};

}  // namespace berth::store::sqlite
