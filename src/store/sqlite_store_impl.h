// The SQLite implementation of Store. Private to this module; open it with open_sqlite.
#pragma once

#include "base/files.h"
#include "store/recent.h"
#include "store/sqlite.h"
#include "store/sqlite_store.h"
#include "store/watch.h"

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace berth::store::sqlite {

// One connection writes and one reads, each behind a mutex, so that readers do not wait for the
// flush of a commit. Watchers read from memory. Never both mutexes at once.
class SqliteStore final : public Store {
 public:
  // What the log of changes holds: (compacted, revision], without a gap.
  struct Log {
    Revision revision = 0;
    Revision compacted = 0;
    std::uint64_t bytes = 0;
  };

  SqliteStore(FileLock lock, std::unique_ptr<Connection> writer, std::unique_ptr<Connection> reader,
              Log log, SqliteOptions options);

  using Store::put;
  using Store::remove;

  Result<Document> get(std::string_view kind, std::string_view name) override;
  Result<Listing> list(std::string_view kind) override;
  Result<Listing> list(std::string_view kind, std::string_view field,
                       std::string_view value) override;
  Result<std::vector<Revision>> commit(std::vector<Write> writes) override;
  Result<Changes> changes_since(Revision since, const Scope& scope, std::size_t limit) override;
  bool is_behind(Revision since, const Scope& scope, Bytes limit) override;
  std::unique_ptr<Watch> watch(Scope scope, Revision since,
                               std::function<void(Revision)> on_change) override;
  Result<Revision> revision() override;
  Result<void> compact(std::size_t keep) override;
  Result<void> append_event(Event event) override;
  Result<std::vector<Event>> list_events(const EventFilter& filter, std::size_t limit) override;

 private:
  // A write as text, checked before the lock is taken.
  struct Prepared {
    const Write* write = nullptr;
    std::string text;
  };

  Result<Listing> list_where(std::string_view kind, std::string_view condition,
                             std::string_view value);
  static Result<std::vector<Prepared>> prepare(const std::vector<Write>& writes);
  // With writer_mutex_ held, within a transaction:
  Result<SizedChange> apply(const Prepared& prepared, Revision revision);
  Result<void> prune(Log& log, std::size_t keep);

  const FileLock lock_;
  const SqliteOptions options_;
  std::mutex writer_mutex_;  // guards writer_ and log_, and orders recent_
  const std::unique_ptr<Connection> writer_;
  Log log_;
  std::mutex reader_mutex_;
  const std::unique_ptr<Connection> reader_;
  RecentChanges recent_;
  Notifier notifier_;
};

}  // namespace berth::store::sqlite
