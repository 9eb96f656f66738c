// Coroutines of Berth: the task type, sleeping, deadlines, and running a task from blocking code.
//
// Rules: parameters by value (a reference only to what outlives the task), a named local before
// co_await, no capturing lambda that is itself a coroutine: let the lambda return the task of a
// function. Where a task awaits several at once, use `unless` or `with_deadline`: the loser is
// cancelled and waited for. A cancelled task ends by an exception at its next co_await; that
// exception stays inside `unless` and the server.
#pragma once

#include "base/clock.h"
#include "base/result.h"

#include <exception>
#include <optional>
#include <string>
#include <tuple>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace berth::net {

// One io_context is run by exactly one thread; what belongs to it needs no locks.
using IoContext = boost::asio::io_context;
using Executor = IoContext::executor_type;

template <class T = void>
using Task = boost::asio::awaitable<T, Executor>;

// The completion token for Asio operations in a Task: the error comes back as a value.
//   auto [error, count] = co_await socket.async_read_some(buffer, use_task);
using UseTask = boost::asio::as_tuple_t<boost::asio::use_awaitable_t<Executor>>;
inline constexpr UseTask use_task{};

// Resumes after `duration`. Throws boost::system::system_error when the task is cancelled.
Task<> sleep_for(Duration duration);

namespace task_detail {

template <class T>
Task<std::optional<T>> optional_of(Task<T> task) {
  T value = co_await std::move(task);
  co_return std::optional<T>(std::move(value));
}

}  // namespace task_detail

// Awaits `work`. When `event` completes first, `work` is cancelled and waited for, what it still
// returned is dropped, and `error` returned.
// Work that can not be cancelled (an `offload`) is waited for all the same.
template <class T>
Task<Result<T>> unless(Task<Result<T>> work, Task<> event, Error error) {
  const Executor executor = co_await boost::asio::this_coro::executor;
  auto group = boost::asio::experimental::make_parallel_group(
      boost::asio::co_spawn(executor, task_detail::optional_of(std::move(work)),
                            boost::asio::deferred),
      boost::asio::co_spawn(executor, std::move(event), boost::asio::deferred));
  auto [order, thrown, result, event_thrown] = co_await group.async_wait(
      boost::asio::experimental::wait_for_one(), boost::asio::use_awaitable_t<Executor>{});
  const bool work_was_first = order[0] == 0;
  if (work_was_first && thrown) std::rethrow_exception(thrown);
  if (work_was_first) co_return std::move(*result);
  const auto state = co_await boost::asio::this_coro::cancellation_state;
  if (state.cancelled() != boost::asio::cancellation_type::none || event_thrown) {
    co_return fail(ErrorCode::cancelled, "cancelled");
  }
  co_return fail(std::move(error));
}

// Awaits `work` for at most `limit`; then cancels it and fails with ErrorCode::timeout:
// "reading the head: no end after 30 s".
template <class T>
Task<Result<T>> with_deadline(Task<Result<T>> work, Duration limit, std::string what) {
  return unless(std::move(work), sleep_for(limit),
                make_error(ErrorCode::timeout, "{}: no end after {} ms", what, limit.count()));
}

// Runs `make(context)`, a function that returns a Task<T>, on an io_context of its own and returns
// its value. For programs and tests that block; never call it from a task.
template <class Make>
auto run_blocking(Make make) {
  using T = typename decltype(make(std::declval<IoContext&>()))::value_type;
  IoContext context(1);
  std::exception_ptr thrown;
  if constexpr (std::is_void_v<T>) {
    boost::asio::co_spawn(context, make(context), [&](std::exception_ptr e) {
      thrown = e;
      context.stop();
    });
    context.run();
    if (thrown) std::rethrow_exception(thrown);
  } else {
    std::optional<T> value;
    boost::asio::co_spawn(context, task_detail::optional_of(make(context)),
                          [&](std::exception_ptr e, std::optional<T> v) {
                            thrown = e;
                            if (v) value.emplace(std::move(*v));
                            context.stop();
                          });
    context.run();
    if (thrown) std::rethrow_exception(thrown);
    return std::move(*value);
  }
}

}  // namespace berth::net
