// The newest changes in memory, so that watchers who keep up do not read the disk; and the one way
// in which answers of changes_since are cut.
#pragma once

#include "base/bytes.h"
#include "store/store.h"

#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace berth::store {

// Gathers the answer of changes_since: up to `limit` changes (at least one) and kChangesLimit of
// JSON.
class ChangeCollector {
 public:
  explicit ChangeCollector(std::size_t limit);

  // Whether one of `size` bytes of JSON still fits. If not, the answer is cut: stop offering.
  bool fits(std::size_t size);
  void add(Change change, std::size_t size);
  // `revision`: how far the source was read, if the answer was not cut.
  Changes finish(Revision revision) &&;

 private:
  std::size_t limit_;
  std::size_t bytes_ = 0;
  Changes out_;
};

struct SizedChange {
  Change change;
  std::size_t size = 0;  // of its data as JSON text
};

// A ring of changes without a gap, bounded by number and bytes. Thread-safe.
class RecentChanges {
 public:
  // Knows nothing up to and including `revision`.
  RecentChanges(Revision revision, std::size_t count_limit, Bytes bytes_limit);

  // The next ones, in order.
  void append(std::vector<SizedChange> changes);
  // Drops those up to and including `revision`.
  void forget(Revision revision);

  // Nullopt if the ring can not answer: `since` is before what it holds, or after.
  std::optional<Changes> since(Revision since, const Scope& scope, std::size_t limit);
  // Whether more than `limit` of JSON in scope came after `since`. Also true where `since` is
  // before what it holds.
  bool is_behind(Revision since, const Scope& scope, Bytes limit);
  Revision newest();

 private:
  void drop_first();

  const std::size_t count_limit_;
  const Bytes bytes_limit_;
  std::mutex mutex_;
  std::deque<SizedChange> changes_;
  std::size_t bytes_ = 0;
  Revision newest_;
};

}  // namespace berth::store
