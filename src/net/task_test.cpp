#include "net/task.h"

#include "net/thread_pool.h"

#include <condition_variable>
#include <mutex>
#include <stdexcept>
#include <thread>

#include <gtest/gtest.h>

namespace berth::net {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

Task<Result<int>> value_after(Duration duration, int value) {
  co_await sleep_for(duration);
  co_return value;
}

Task<Result<int>> throwing() {
  co_await sleep_for(milliseconds(0));
  throw std::runtime_error("a bug");
}

TEST(WithDeadline, ReturnsTheValueInTime) {
  const auto result = run_blocking([](IoContext&) {
    return with_deadline(value_after(milliseconds(1), 7), hours(1), "waiting");
  });
  EXPECT_EQ(result, 7);
}

TEST(WithDeadline, CancelsWhatIsLate) {
  const auto result = run_blocking([](IoContext&) {
    return with_deadline(value_after(hours(1), 7), milliseconds(5), "waiting");
  });
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::timeout);
  EXPECT_EQ(result.error().message, "waiting: no end after 5 ms");
}

TEST(WithDeadline, PassesExceptionsOn) {
  EXPECT_THROW(
      run_blocking([](IoContext&) { return with_deadline(throwing(), hours(1), "waiting"); }),
      std::runtime_error);
}

TEST(WithDeadline, NestsAndTheInnerOneIsTold) {
  const auto result = run_blocking([](IoContext&) {
    return with_deadline(with_deadline(value_after(hours(1), 7), hours(1), "inner"),
                         milliseconds(5), "outer");
  });
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message, "outer: no end after 5 ms");
}

TEST(Offload, RunsElsewhereAndReturnsHere) {
  ThreadPool pool(1, 4);
  const auto here = std::this_thread::get_id();
  const auto there = run_blocking(
      [&](IoContext&) { return offload(pool, [] { return std::this_thread::get_id(); }); });
  ASSERT_TRUE(there);
  EXPECT_NE(*there, here);
  const auto flat = run_blocking([&](IoContext&) {
    return offload(pool, []() -> Result<int> { return fail(ErrorCode::not_found, "none"); });
  });
  EXPECT_EQ(flat.error().code, ErrorCode::not_found);
  const auto nothing = run_blocking([&](IoContext&) { return offload(pool, [] {}); });
  EXPECT_TRUE(nothing);
  const auto bug = run_blocking(
      [&](IoContext&) { return offload(pool, []() -> int { throw std::runtime_error("x"); }); });
  EXPECT_EQ(bug.error().code, ErrorCode::internal);
}

TEST(Offload, RefusesWhenTheQueueIsFull) {
  std::mutex mutex;
  std::condition_variable changed;
  bool running = false;
  bool go = false;
  ThreadPool pool(1, 1);
  ASSERT_TRUE(pool.try_post([&] {
    std::unique_lock lock(mutex);
    running = true;
    changed.notify_all();
    changed.wait(lock, [&] { return go; });
  }));
  {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return running; });
  }
  ASSERT_TRUE(pool.try_post([] {}));
  const auto refused = run_blocking([&](IoContext&) { return offload(pool, [] { return 1; }); });
  {
    const std::lock_guard lock(mutex);
    go = true;
  }
  changed.notify_all();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::resource_exhausted);
}

}  // namespace
}  // namespace berth::net
