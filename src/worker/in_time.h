// A blocking question asked on a pool's thread, whose answer is waited for only so long.
#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "net/thread_pool.h"
#include "net/wake_up.h"

#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

namespace berth::worker {

// Runs `question`, which returns a Result and shares nothing with its caller, on `pool`. Fails with
// resource_exhausted where the pool takes no more, with timeout after `patience` (the question then
// goes on, and its answer is dropped), with internal where it throws, or as it does. `what` goes
// into these messages: "reading /models/a.gguf".
template <class Question>
auto answer_in_time(net::ThreadPool& pool, Duration patience, std::string what, Question question)
    -> net::Task<decltype(question())> {
  using Answer = decltype(question());
  // The thread may be late, or never come back, and the asker's io_context may be gone by then: who
  // asks is known only as long as somebody waits, and the thread touches it under the lock alone.
  struct Asked {
    std::mutex mutex;
    std::shared_ptr<net::WakeUp> asker;
    std::optional<Answer> answer;
  };
  struct Waiting {
    std::shared_ptr<Asked> asked;
    ~Waiting() {
      const std::lock_guard lock(asked->mutex);
      asked->asker.reset();
    }
  };
  const auto executor = co_await boost::asio::this_coro::executor;
  const auto done = std::make_shared<net::WakeUp>(executor);
  const auto asked = std::make_shared<Asked>();
  asked->asker = done;
  const Waiting waiting{asked};
  const bool taken = pool.try_post([asked, what, question = std::move(question)] {
    Answer answer = [&]() -> Answer {
      try {
        return question();
      } catch (const std::exception& thrown) {
        return fail(ErrorCode::internal, "{}: {}", what, thrown.what());
      }
    }();
    const std::lock_guard lock(asked->mutex);
    if (asked->asker == nullptr) return;
    asked->answer = std::move(answer);
    asked->asker->wake_from_anywhere();
  });
  if (!taken) {
    co_return fail(ErrorCode::resource_exhausted,
                   "too much is asked of this worker at this time ({}); try again in a moment",
                   what);
  }
  if (!co_await done->wait(patience)) {
    co_return fail(ErrorCode::timeout, "{} did not end in {} ms", what, patience.count());
  }
  const std::lock_guard lock(asked->mutex);
  co_return std::move(*asked->answer);
}

}  // namespace berth::worker
