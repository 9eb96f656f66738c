#include "store/watch.h"

#include <algorithm>
#include <utility>

namespace berth::store {
namespace {

bool concerns(const Scope& scope, const std::vector<Change>& changes) {
  return std::any_of(changes.begin(), changes.end(),
                     [&](const Change& change) { return scope.covers(change.kind, change.data); });
}

}  // namespace

Notifier::Handle Notifier::subscribe(Subscriber subscriber, Revision since) {
  const std::lock_guard lock(mutex_);
  const auto handle = subscribers_.insert(subscribers_.end(), std::move(subscriber));
  if (newest_ > since) handle->wake(newest_);
  return handle;
}

void Notifier::unsubscribe(Handle handle) {
  const std::lock_guard lock(mutex_);
  subscribers_.erase(handle);
}

void Notifier::publish(Revision revision, const std::vector<Change>& changes) {
  const std::lock_guard lock(mutex_);
  newest_ = std::max(newest_, revision);  // two writers may arrive here in the other order
  for (const Subscriber& subscriber : subscribers_) {
    if (concerns(subscriber.scope, changes)) subscriber.wake(newest_);
  }
}

Watch::Watch(Store& store, Notifier& notifier, Scope scope, Revision since,
             std::function<void(Revision)> on_change)
    : store_(store), notifier_(notifier), scope_(std::move(scope)), position_(since) {
  auto wake = [this, on_change = std::move(on_change)](Revision revision) {
    {
      const std::lock_guard lock(mutex_);
      announced_ = std::max(announced_, revision);
    }
    woken_.notify_all();
    if (on_change) on_change(revision);
  };
  handle_ = notifier_.subscribe({scope_, std::move(wake)}, since);
}

Watch::~Watch() { notifier_.unsubscribe(handle_); }

Result<Changes> Watch::next(std::size_t limit) {
  auto changes = store_.changes_since(position_, scope_, limit);
  if (changes) position_ = changes->revision;
  return changes;
}

bool Watch::is_behind(Bytes limit) const { return store_.is_behind(position_, scope_, limit); }

bool Watch::wait_until(SteadyTime deadline) {
  std::unique_lock lock(mutex_);
  woken_.wait_until(lock, deadline, [this] { return interrupted_ || announced_ > position_; });
  return !interrupted_ && announced_ > position_;
}

void Watch::interrupt() {
  {
    const std::lock_guard lock(mutex_);
    interrupted_ = true;
  }
  woken_.notify_all();
}

}  // namespace berth::store
