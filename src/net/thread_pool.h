// A pool for what blocks (disk, database), and `offload`, which runs a function there for a task.
#pragma once

#include "base/result.h"
#include "net/task.h"

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>

#include <boost/asio/async_result.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>

namespace berth::net {

// A fixed number of threads behind a bounded queue. Thread-safe. The destructor runs what is still
// queued, then joins; destroy the pool before the io_contexts whose tasks use it.
class ThreadPool {
 public:
  ThreadPool(std::size_t threads, std::size_t queue_bound);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // Queues `work`, which must not throw. False: the queue is full, and `work` was not taken.
  [[nodiscard]] bool try_post(std::function<void()> work);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

namespace task_detail {

template <class R>
struct OffloadResult {
  using Type = Result<R>;
};
template <class T>
struct OffloadResult<Result<T>> {
  using Type = Result<T>;
};

Error pool_full_error();
Error offload_threw_error(const std::exception& thrown);

template <class Function>
auto call_caught(Function& function) ->
    typename OffloadResult<std::invoke_result_t<Function&>>::Type {
  try {
    if constexpr (std::is_void_v<std::invoke_result_t<Function&>>) {
      function();
      return {};
    } else {
      return function();
    }
  } catch (const std::exception& thrown) {
    return fail(offload_threw_error(thrown));
  }
}

}  // namespace task_detail

// Runs the blocking `function` on `pool` and resumes on the caller's executor with its value: a
// Result as it is, anything else inside one. Fails with resource_exhausted when the queue is full,
// and with internal when the function throws.
template <class Function>
auto offload(ThreadPool& pool, Function function)
    -> Task<typename task_detail::OffloadResult<std::invoke_result_t<Function&>>::Type> {
  using Value = typename task_detail::OffloadResult<std::invoke_result_t<Function&>>::Type;
  const Executor executor = co_await boost::asio::this_coro::executor;
  // Held by the pool's thread while it touches the io_context, which may end once we have resumed.
  const auto handing_over = std::make_shared<std::mutex>();
  auto initiate = [&pool, executor, handing_over, &function](auto handler) {
    struct Work {
      std::optional<Function> function;
      decltype(handler) resume;
      boost::asio::executor_work_guard<Executor> guard;
      std::shared_ptr<std::mutex> handing_over;

      void finish(Value value) {
        function.reset();
        const std::lock_guard lock(*handing_over);
        boost::asio::post(guard.get_executor(),
                          [resume = std::move(resume), value = std::move(value)]() mutable {
                            resume(std::move(value));
                          });
        guard.reset();
      }
    };
    auto work = std::make_shared<Work>(Work{std::move(function), std::move(handler),
                                            boost::asio::make_work_guard(executor), handing_over});
    const bool queued =
        pool.try_post([work] { work->finish(task_detail::call_caught(*work->function)); });
    if (!queued) work->finish(fail(task_detail::pool_full_error()));
  };
  boost::asio::use_awaitable_t<Executor> token;
  Value value =
      co_await boost::asio::async_initiate<boost::asio::use_awaitable_t<Executor>, void(Value)>(
          std::move(initiate), token);
  {
    const std::lock_guard handed_over(*handing_over);
  }
  co_return value;
}

}  // namespace berth::net
