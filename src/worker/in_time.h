// A blocking question asked on a pool's thread, whose answer is waited for only so long.
#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "net/thread_pool.h"
#include "net/wake_up.h"

#include <exception>
#include <memory>
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
  // The thread may be late, or never come back: it shares what it writes to.
  struct Asked {
    std::optional<Answer> answer;
  };
  const auto executor = co_await boost::asio::this_coro::executor;
  const auto done = std::make_shared<net::WakeUp>(executor);
  const auto asked = std::make_shared<Asked>();
  const bool taken = pool.try_post([done, asked, what, question = std::move(question)] {
    try {
      asked->answer = question();
    } catch (const std::exception& thrown) {
      asked->answer = fail(ErrorCode::internal, "{}: {}", what, thrown.what());
    }
    done->wake_from_anywhere();
  });
  if (!taken) {
    co_return fail(ErrorCode::resource_exhausted,
                   "too much is asked of this worker at this time ({}); try again in a moment",
                   what);
  }
  const bool in_time = co_await done->wait(patience);
  if (!in_time) {
    co_return fail(ErrorCode::timeout, "{} did not end in {} ms", what, patience.count());
  }
  co_return std::move(*asked->answer);
}

}  // namespace berth::worker
