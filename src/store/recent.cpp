#include "store/recent.h"

#include <algorithm>
#include <utility>

namespace berth::store {

ChangeCollector::ChangeCollector(std::size_t limit) : limit_(std::max<std::size_t>(limit, 1)) {}

bool ChangeCollector::fits(std::size_t size) {
  const std::size_t count = out_.changes.size();
  out_.more = count == limit_ || (count > 0 && bytes_ + size > kChangesLimit.count);
  return !out_.more;
}

void ChangeCollector::add(Change change, std::size_t size) {
  bytes_ += size;
  out_.changes.push_back(std::move(change));
}

Changes ChangeCollector::finish(Revision revision) && {
  out_.revision = out_.more ? out_.changes.back().revision : revision;
  return std::move(out_);
}

RecentChanges::RecentChanges(Revision revision, std::size_t count_limit, Bytes bytes_limit)
    : count_limit_(count_limit), bytes_limit_(bytes_limit), newest_(revision) {}

void RecentChanges::append(std::vector<SizedChange> changes) {
  const std::lock_guard lock(mutex_);
  for (SizedChange& change : changes) {
    newest_ = change.change.revision;
    bytes_ += change.size;
    changes_.push_back(std::move(change));
  }
  while (!changes_.empty() && (changes_.size() > count_limit_ || bytes_ > bytes_limit_.count)) {
    drop_first();
  }
}

void RecentChanges::forget(Revision revision) {
  const std::lock_guard lock(mutex_);
  while (!changes_.empty() && changes_.front().change.revision <= revision) drop_first();
}

std::optional<Changes> RecentChanges::since(Revision since, const Scope& scope, std::size_t limit) {
  const std::lock_guard lock(mutex_);
  const Revision floor = newest_ - changes_.size();  // a revision each, without a gap
  if (since < floor || since > newest_) return std::nullopt;
  ChangeCollector collector(limit);
  for (auto i = static_cast<std::size_t>(since - floor); i < changes_.size(); ++i) {
    const auto& [change, size] = changes_[i];
    if (!scope.covers(change.kind, change.data)) continue;
    if (!collector.fits(size)) break;
    collector.add(change, size);
  }
  return std::move(collector).finish(newest_);
}

bool RecentChanges::is_behind(Revision since, const Scope& scope, Bytes limit) {
  const std::lock_guard lock(mutex_);
  const Revision floor = newest_ - changes_.size();
  if (since < floor) return true;
  Bytes behind;
  for (auto i = static_cast<std::size_t>(since - floor); i < changes_.size(); ++i) {
    const auto& [change, size] = changes_[i];
    if (scope.covers(change.kind, change.data)) behind += Bytes{size};
    if (behind > limit) return true;
  }
  return false;
}

Revision RecentChanges::newest() {
  const std::lock_guard lock(mutex_);
  return newest_;
}

void RecentChanges::drop_first() {
  bytes_ -= changes_.front().size;
  changes_.pop_front();
}

}  // namespace berth::store
