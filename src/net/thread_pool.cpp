#include "net/thread_pool.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

namespace berth::net {

struct ThreadPool::State {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::function<void()>> queue;
  std::size_t bound = 0;
  bool ending = false;
  std::vector<std::thread> threads;

  void run() {
    std::unique_lock lock(mutex);
    for (;;) {
      changed.wait(lock, [this] { return ending || !queue.empty(); });
      if (queue.empty()) return;
      std::function<void()> work = std::move(queue.front());
      queue.pop_front();
      lock.unlock();
      work();
      work = nullptr;
      lock.lock();
    }
  }
};

ThreadPool::ThreadPool(std::size_t threads, std::size_t queue_bound)
    : state_(std::make_unique<State>()) {
  state_->bound = queue_bound;
  for (std::size_t i = 0; i < threads; ++i) {
    state_->threads.emplace_back([state = state_.get()] { state->run(); });
  }
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->ending = true;
  }
  state_->changed.notify_all();
  for (auto& thread : state_->threads) thread.join();
}

bool ThreadPool::try_post(std::function<void()> work) {
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->queue.size() >= state_->bound) return false;
    state_->queue.push_back(std::move(work));
  }
  state_->changed.notify_one();
  return true;
}

namespace task_detail {

Error pool_full_error() {
  return make_error(ErrorCode::resource_exhausted,
                    "too much work is waiting for the disk or the database; try again");
}

Error offload_threw_error(const std::exception& thrown) {
  return make_error(ErrorCode::internal, "a background function threw: {}", thrown.what());
}

}  // namespace task_detail
}  // namespace berth::net
