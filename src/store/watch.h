// Watch: a place in the order of changes that is told when there is something to fetch. Changes are
// pulled, so a slow watcher holds no memory; one that falls behind what the store keeps gets `gone`
// and lists again.
//
//   auto listing = store.list("model");             // the state
//   auto watch = store.watch({"model"}, listing->revision, [&](Revision) { post(wake); });
//   … on wake, on a thread that may block: do { auto c = watch->next(); … } while (c->more);
//
// A thread of its own uses wait_until instead of the callback.
#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "store/store.h"

#include <condition_variable>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace berth::store {

// Tells watches of commits; each implementation of Store has one. Thread-safe.
class Notifier {
 public:
  struct Subscriber {
    Scope scope;
    std::function<void(Revision)> wake;
  };
  using Handle = std::list<Subscriber>::iterator;

  // Starts at the revision that the store was opened with.
  explicit Notifier(Revision revision) : newest_(revision) {}

  // Wakes at once if commits after `since` have been told already.
  Handle subscribe(Subscriber subscriber, Revision since);
  // After it returns, `wake` is not running and will not be called.
  void unsubscribe(Handle handle);
  // What a commit up to `revision` has changed, which can be fetched from now on.
  void publish(Revision revision, const std::vector<Change>& changes);

 private:
  std::mutex mutex_;
  std::list<Subscriber> subscribers_;
  Revision newest_;
};

// One user at a time, except `interrupt`. Ends with its destruction: no callback runs after it.
class Watch {
 public:
  Watch(Store& store, Notifier& notifier, Scope scope, Revision since,
        std::function<void(Revision)> on_change);
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  ~Watch();

  // The next changes, perhaps none: in order, none lost, none twice. Does not wait for changes, but
  // may block on the disk. Moves the position. Fails as Store::changes_since; after `gone` the
  // watch is of no more use. The first call tells whether the `since` of the watch is still good.
  Result<Changes> next(std::size_t limit = 1000);

  // Whether more than `limit` of JSON waits to be fetched, or what only the disk still has. Does
  // not block on the disk.
  [[nodiscard]] bool is_behind(Bytes limit) const;

  // Waits until there may be something to fetch. False: the deadline passed, or interrupted.
  bool wait_until(SteadyTime deadline);

  // Makes wait_until return false, now and from now on. From any thread.
  void interrupt();

  // Everything up to here has been handed out.
  [[nodiscard]] Revision position() const { return position_; }

 private:
  Store& store_;
  Notifier& notifier_;
  const Scope scope_;
  Revision position_;
  std::mutex mutex_;  // guards what is below
  std::condition_variable woken_;
  Revision announced_ = 0;
  bool interrupted_ = false;
  Notifier::Handle handle_;
};

}  // namespace berth::store
