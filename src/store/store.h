// The store: what should be, as documents (kind, name, revision, JSON) with optimistic concurrency,
// a watch from a revision, and events. One interface; SQLite implements it (sqlite_store.h).
//
// Every write gets the next revision of one counter for the whole store, so that a revision orders
// any two writes. A caller that read revision R and writes with `expected` = R either changes what
// it saw or gets `conflict`. The store knows nothing of what documents mean.
//
// Ways to fail that every call has: unavailable (the disk is full or read-only, or the database is
// locked for too long: try again), io (the disk fails otherwise), internal (the database has been
// damaged). Nothing is ever half done. Others stand beside each call.
#pragma once

#include "base/bytes.h"
#include "base/json.h"
#include "base/result.h"
#include "store/event.h"

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace berth::store {

class Watch;  // watch.h

// 1 is the first write; 0 is "never": what does not exist, and the state before every write.
using Revision = std::uint64_t;

inline constexpr Bytes kDocumentLimit = 1_MiB;       // one document as JSON text
inline constexpr Bytes kChangesLimit = 1_MiB;        // the JSON of one answer of changes_since
inline constexpr std::size_t kNameLimit = 512;       // bytes of a kind or a name; at least 1
inline constexpr std::size_t kCommitLimit = 10'000;  // writes in one commit

struct Document {
  std::string kind;
  std::string name;
  Revision revision = 0;  // of its last write
  json::object data;
};

enum class ChangeType { put, remove };

// One write as a watcher sees it.
struct Change {
  ChangeType type = ChangeType::put;
  std::string kind;
  std::string name;
  Revision revision = 0;
  json::object data;  // of a removal: the last one known
};

// Which changes are meant: those of `kinds` (empty: all) and, where `field` is named, of documents
// whose text member of that name is `value`. Of a removal, the last document known counts.
struct Scope {
  Scope() = default;
  Scope(std::vector<std::string> all_of) : kinds(std::move(all_of)) {}
  Scope(std::initializer_list<std::string> all_of) : kinds(all_of) {}
  // Of `some_of`, those documents whose `member` is `text`.
  static Scope where(std::vector<std::string> some_of, std::string member, std::string text) {
    Scope scope(std::move(some_of));
    scope.field = std::move(member);
    scope.value = std::move(text);
    return scope;
  }

  [[nodiscard]] bool has_kind(std::string_view kind) const;
  [[nodiscard]] bool covers(std::string_view kind, const json::object& data) const;

  std::vector<std::string> kinds;
  std::string field;
  std::string value;
};

struct Listing {
  std::vector<Document> documents;  // by name, bytewise
  Revision revision = 0;  // of the whole store at that moment: watching from it loses nothing
};

struct Changes {
  std::vector<Change> changes;  // by revision
  // Go on from here: everything up to this revision has been told, what is out of scope included,
  // so it moves on even where `changes` is empty.
  Revision revision = 0;
  bool more = false;  // cut by a limit: ask again at once
};

struct Write {
  std::string kind;
  std::string name;
  std::optional<json::object> data = {};  // nullopt: remove
  std::optional<Revision> expected = {};  // 0: must not exist; nullopt: whatever is there
};

// Thread-safe. Calls block on the disk: keep them off the event loop.
class Store {
 public:
  Store() = default;
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;
  virtual ~Store() = default;

  // Fails with not_found.
  virtual Result<Document> get(std::string_view kind, std::string_view name) = 0;

  // All documents of a kind; an unknown kind is an empty one.
  virtual Result<Listing> list(std::string_view kind) = 0;

  // Those whose text member `field` ("model", "status.worker") is `value`. Only for fields that the
  // store was opened with (`indexed_fields`), else invalid_parameter.
  virtual Result<Listing> list(std::string_view kind, std::string_view field,
                               std::string_view value) = 0;

  // All or nothing, applied in order (a document may occur twice); one revision a write, and one
  // wake-up of the watchers. Fails with conflict (naming both revisions), already_exists
  // (`expected` is 0 and it is there), not_found (to remove, or `expected` is not 0 and it is not
  // there), too_large, or invalid_parameter (an impossible name, or JSON that could not be read
  // back).
  virtual Result<std::vector<Revision>> commit(std::vector<Write> writes) = 0;

  // A commit of one write.
  Result<Revision> put(std::string_view kind, std::string_view name, json::object data,
                       std::optional<Revision> expected = std::nullopt);
  Result<Revision> remove(std::string_view kind, std::string_view name,
                          std::optional<Revision> expected = std::nullopt);

  // The changes after `since` that are in scope, at most `limit` and kChangesLimit of JSON (but at
  // least one). Fails with gone, field "since", if some after `since` are no longer kept, or if
  // this store has not reached `since` (it was restored): list again.
  virtual Result<Changes> changes_since(Revision since, const Scope& scope, std::size_t limit) = 0;

  // Whether changes in scope of more than `limit` of JSON came after `since`, or changes that only
  // the disk still has. Never blocks on the disk.
  virtual bool is_behind(Revision since, const Scope& scope, Bytes limit) = 0;

  // Subscribes to changes after `since`; see watch.h. `on_change` may be empty. It gets the newest
  // revision, at once if there may be something to fetch already, then after each commit that has
  // something in scope, on the thread that wrote: it must be quick (post, set a flag), and must not
  // call the store nor end a watch. The watch must end before the store does.
  virtual std::unique_ptr<Watch> watch(Scope scope, Revision since,
                                       std::function<void(Revision)> on_change) = 0;

  // The revision of the last write.
  virtual Result<Revision> revision() = 0;

  // Forgets all but the last `keep` changes. The store also does so by itself.
  virtual Result<void> compact(std::size_t keep) = 0;

  // Events are no documents: they have no revision and wake no watcher, and only the newest are
  // kept. Texts are cut at kEventTextLimit.
  virtual Result<void> append_event(Event event) = 0;
  // The newest first.
  virtual Result<std::vector<Event>> list_events(const EventFilter& filter, std::size_t limit) = 0;
};

}  // namespace berth::store
