#include "net/task.h"

#include <chrono>

#include <boost/asio/basic_waitable_timer.hpp>

namespace berth::net {

Task<> sleep_for(Duration duration) {
  const Executor executor = co_await boost::asio::this_coro::executor;
  using Clock = std::chrono::steady_clock;
  boost::asio::basic_waitable_timer<Clock, boost::asio::wait_traits<Clock>, Executor> timer(
      executor, duration);
  co_await timer.async_wait(boost::asio::use_awaitable_t<Executor>{});
}

}  // namespace berth::net
