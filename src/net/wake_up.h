// WakeUp: lets a task sleep until something happens, or a moment comes.
#pragma once

#include "base/clock.h"
#include "net/task.h"

#include <memory>
#include <utility>

#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/post.hpp>

namespace berth::net {

// Held by shared_ptr; one task waits at a time. A wake-up that comes while nobody waits is kept for
// the next `wait`; several count as one. Use it on its executor, except `wake_from_anywhere`.
class WakeUp : public std::enable_shared_from_this<WakeUp> {
 public:
  explicit WakeUp(Executor executor) : executor_(executor), timer_(executor) {}

  [[nodiscard]] Executor executor() const { return executor_; }

  void wake() {
    pending_ = true;
    timer_.cancel();
  }
  // Thread-safe.
  void wake_from_anywhere() {
    boost::asio::post(executor_, [self = shared_from_this()] { self->wake(); });
  }

  // True if somebody woke us, false when `limit` passed.
  Task<bool> wait(Duration limit) {
    if (!pending_) {
      timer_.expires_after(limit);
      co_await timer_.async_wait(use_task);
    }
    co_return std::exchange(pending_, false);
  }

 private:
  using Timer = boost::asio::basic_waitable_timer<
      std::chrono::steady_clock, boost::asio::wait_traits<std::chrono::steady_clock>, Executor>;
  Executor executor_;
  Timer timer_;
  bool pending_ = false;
};

}  // namespace berth::net
