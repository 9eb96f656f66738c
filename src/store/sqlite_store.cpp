// Opening, writing and compacting; sqlite_read.cpp reads.
#include "store/sqlite_store.h"

#include "store/sqlite_schema.h"
#include "store/sqlite_store_impl.h"

#include <algorithm>
#include <utility>

namespace berth::store {
namespace sqlite {
namespace {

// Everything that one commit holds in memory and in the log.
constexpr Bytes kCommitBytesLimit = 32_MiB;

Result<void> check_name(std::string_view what, std::string_view name) {
  if (!name.empty() && name.size() <= kNameLimit) return {};
  return fail(ErrorCode::invalid_parameter, "the {} of a document has 1 to {} bytes (got {})", what,
              kNameLimit, name.size());
}

// The text of `data`, which is certain to be readable again (UTF-8, depth).
Result<std::string> checked_text(const Write& write) {
  std::string text = to_text(json::value(*write.data));
  if (text.size() > kDocumentLimit.count) {
    return fail(ErrorCode::too_large, "{} {} has {} of JSON; the limit is {}", write.kind,
                write.name, Bytes{text.size()}, kDocumentLimit);
  }
  if (auto parsed = parse_json(text); !parsed) {
    auto error =
        std::move(parsed).error().context("{} {} can not be stored", write.kind, write.name);
    error.code = ErrorCode::invalid_parameter;
    return fail(std::move(error));
  }
  return text;
}

// `current` is 0 where there is no such document.
Result<void> check_expected(const Write& write, Revision current) {
  if (write.expected == Revision{0} && current != 0) {
    return fail(ErrorCode::already_exists, "{} {} is there already (revision {})", write.kind,
                write.name, current);
  }
  const bool must_exist = write.expected.value_or(0) != 0 || !write.data;
  if (must_exist && current == 0) {
    return fail(ErrorCode::not_found, "no {} is named {}", write.kind, write.name);
  }
  if (write.expected && *write.expected != current) {
    return fail(ErrorCode::conflict,
                "{} {} has changed: it is at revision {} and you had {}; read it again", write.kind,
                write.name, current, *write.expected);
  }
  return {};
}

}  // namespace

SqliteStore::SqliteStore(FileLock lock, std::unique_ptr<Connection> writer,
                         std::unique_ptr<Connection> reader, Log log, SqliteOptions options)
    : lock_(std::move(lock)),
      options_(std::move(options)),
      writer_(std::move(writer)),
      log_(log),
      reader_(std::move(reader)),
      recent_(log.revision, options_.changes_kept, options_.change_bytes_in_memory),
      notifier_(log.revision) {}

Result<std::vector<SqliteStore::Prepared>> SqliteStore::prepare(const std::vector<Write>& writes) {
  if (writes.size() > kCommitLimit) {
    return fail(ErrorCode::too_large, "a commit has at most {} writes (got {})", kCommitLimit,
                writes.size());
  }
  std::vector<Prepared> prepared;
  prepared.reserve(writes.size());
  Bytes total;
  for (const Write& write : writes) {
    BERTH_CHECK(check_name("kind", write.kind));
    BERTH_CHECK(check_name("name", write.name));
    Prepared& one = prepared.emplace_back(Prepared{.write = &write, .text = {}});
    if (!write.data) continue;
    BERTH_TRY(one.text, checked_text(write));
    total += Bytes{one.text.size()};
    if (total > kCommitBytesLimit) {
      return fail(ErrorCode::too_large, "a commit has at most {} of JSON", kCommitBytesLimit);
    }
  }
  return prepared;
}

Result<SizedChange> SqliteStore::apply(const Prepared& prepared, Revision revision) {
  const Write& write = *prepared.write;
  Revision current = 0;
  std::string text = prepared.text;
  {
    BERTH_TRY(Query query,
              writer_->query("SELECT revision, data FROM documents WHERE kind = $1 AND name = $2",
                             std::string_view(write.kind), std::string_view(write.name)));
    BERTH_TRY(const bool found, query.step());
    if (found) {
      current = static_cast<Revision>(query.integer(0));
      if (!write.data) text = query.text(1);
    }
  }
  BERTH_CHECK(check_expected(write, current));
  SizedChange sized{.change = {.type = write.data ? ChangeType::put : ChangeType::remove,
                               .kind = write.kind,
                               .name = write.name,
                               .revision = revision,
                               .data = {}},
                    .size = text.size()};
  // Parsed and not copied, so that memory and disk give the same.
  BERTH_TRY(json::value data, parse_json(text));
  sized.change.data = std::move(data.as_object());
  if (write.data) {
    BERTH_TRY(Query query,
              writer_->query("INSERT INTO documents(kind, name, revision, data) "
                             "VALUES ($1, $2, $3, $4) ON CONFLICT (kind, name) "
                             "DO UPDATE SET revision = excluded.revision, data = excluded.data",
                             std::string_view(write.kind), std::string_view(write.name), revision,
                             std::string_view(text)));
    BERTH_CHECK(query.run());
  } else {
    BERTH_TRY(Query query,
              writer_->query("DELETE FROM documents WHERE kind = $1 AND name = $2",
                             std::string_view(write.kind), std::string_view(write.name)));
    BERTH_CHECK(query.run());
  }
  BERTH_TRY(Query query,
            writer_->query("INSERT INTO changes(revision, removed, kind, name, size, data) "
                           "VALUES ($1, $2, $3, $4, $5, $6)",
                           revision, std::int64_t{write.data ? 0 : 1}, std::string_view(write.kind),
                           std::string_view(write.name), std::uint64_t{text.size()},
                           std::string_view(text)));
  BERTH_CHECK(query.run());
  return sized;
}

Result<void> SqliteStore::prune(Log& log, std::size_t keep) {
  const auto too_much = [&] {
    return log.revision - log.compacted > keep || log.bytes > options_.change_bytes_kept.count;
  };
  if (too_much()) {
    {
      BERTH_TRY(Query oldest,
                writer_->query("SELECT revision, size FROM changes ORDER BY revision"));
      while (too_much()) {
        BERTH_TRY(const bool row, oldest.step());
        if (!row)
          return fail(ErrorCode::internal, "the changes of {} have a gap",
                      writer_->path().string());
        log.compacted = static_cast<Revision>(oldest.integer(0));
        log.bytes -= static_cast<std::uint64_t>(oldest.integer(1));
      }
    }
    BERTH_TRY(Query drop,
              writer_->query("DELETE FROM changes WHERE revision <= $1", log.compacted));
    BERTH_CHECK(drop.run());
  }
  BERTH_TRY(Query state, writer_->query("UPDATE state SET revision = $1, compacted = $2",
                                        log.revision, log.compacted));
  return state.run();
}

Result<std::vector<Revision>> SqliteStore::commit(std::vector<Write> writes) {
  BERTH_TRY(const auto prepared, prepare(writes));
  std::vector<Revision> revisions;
  std::vector<Change> told;
  if (prepared.empty()) return revisions;
  {
    const std::lock_guard guard(writer_mutex_);
    Log log = log_;
    std::vector<SizedChange> changes;
    BERTH_TRY(Transaction transaction, Transaction::start(*writer_, "BEGIN IMMEDIATE"));
    for (const Prepared& one : prepared) {
      BERTH_TRY(SizedChange change, apply(one, ++log.revision));
      log.bytes += change.size;
      revisions.push_back(log.revision);
      told.push_back(change.change);
      changes.push_back(std::move(change));
    }
    BERTH_CHECK(prune(log, options_.changes_kept));
    BERTH_CHECK(transaction.commit());
    log_ = log;
    recent_.append(std::move(changes));
    recent_.forget(log.compacted);
  }
  notifier_.publish(revisions.back(), told);
  return revisions;
}

Result<void> SqliteStore::compact(std::size_t keep) {
  const std::lock_guard guard(writer_mutex_);
  Log log = log_;
  BERTH_TRY(Transaction transaction, Transaction::start(*writer_, "BEGIN IMMEDIATE"));
  BERTH_CHECK(prune(log, keep));
  BERTH_CHECK(transaction.commit());
  log_ = log;
  recent_.forget(log.compacted);
  return {};
}

std::unique_ptr<Watch> SqliteStore::watch(Scope scope, Revision since,
                                          std::function<void(Revision)> on_change) {
  return std::make_unique<Watch>(*this, notifier_, std::move(scope), since, std::move(on_change));
}

namespace {

Result<void> make_indexes(Connection& connection, const std::vector<std::string>& fields) {
  for (const std::string& field : fields) {
    // It becomes part of SQL text, here and where it is queried.
    const bool plain = !field.empty() && std::all_of(field.begin(), field.end(), [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
    });
    if (!plain) {
      return fail(ErrorCode::invalid_parameter,
                  "an indexed field is made of a-z, 0-9, \"_\" and \".\" (got \"{}\")", field);
    }
    BERTH_CHECK(
        connection.run(fmt::format("CREATE INDEX IF NOT EXISTS \"documents_by_{0}\" "
                                   "ON documents(kind, json_extract(data, '$.{0}'), name)",
                                   field)));
  }
  return {};
}

Result<SqliteStore::Log> read_log(Connection& connection) {
  BERTH_TRY(const auto revision, connection.integer("SELECT revision FROM state"));
  BERTH_TRY(const auto compacted, connection.integer("SELECT compacted FROM state"));
  BERTH_TRY(const auto count, connection.integer("SELECT COUNT(*) FROM changes"));
  BERTH_TRY(const auto bytes, connection.integer("SELECT COALESCE(SUM(size), 0) FROM changes"));
  if (revision - compacted != count) {
    return fail(damaged_error(connection.path(), "its log of changes has a gap"));
  }
  return SqliteStore::Log{.revision = static_cast<Revision>(revision),
                          .compacted = static_cast<Revision>(compacted),
                          .bytes = static_cast<std::uint64_t>(bytes)};
}

}  // namespace
}  // namespace sqlite

Result<std::unique_ptr<Store>> open_sqlite(const std::filesystem::path& path,
                                           SqliteOptions options) {
  BERTH_TRY(FileLock lock, FileLock::try_acquire(path.string() + ".lock"));
  BERTH_TRY(auto writer, sqlite::open_database(path, sqlite::schema_steps()));
  BERTH_CHECK(writer->run("PRAGMA journal_mode = WAL"));
  // FULL flushes each commit: a commit of 2 KB takes 0.25 ms instead of 0.02 ms on an SSD. Only
  // transitions are written, so that is cheap for not losing an acknowledged one with the power.
  BERTH_CHECK(writer->run(options.survive_power_loss ? "PRAGMA synchronous = FULL"
                                                     : "PRAGMA synchronous = NORMAL"));
  BERTH_CHECK(writer->run("PRAGMA journal_size_limit = 67108864"));
  BERTH_CHECK(sqlite::make_indexes(*writer, options.indexed_fields));
  BERTH_TRY(const auto log, sqlite::read_log(*writer));
  BERTH_TRY(auto reader, sqlite::Connection::open(path));
  reader->begin_service();
  BERTH_CHECK(reader->run("PRAGMA query_only = 1"));
  return std::make_unique<sqlite::SqliteStore>(std::move(lock), std::move(writer),
                                               std::move(reader), log, std::move(options));
}

}  // namespace berth::store
