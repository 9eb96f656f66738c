// AnswerAssembler: puts the events of a stream together into the answer that the same request gives
// without streaming (OpenAI API reference, "The chat completion chunk object" against "The chat
// completion object"; completions likewise).
#pragma once

#include "base/json.h"
#include "base/result.h"
#include "gateway/event_splitter.h"
#include "gateway/usage.h"

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace berth::gateway {

// Not thread-safe; one an answer.
class AnswerAssembler {
 public:
  // The next bytes of the stream. Fails with unavailable where an event is no JSON, too_large where
  // the answer grows beyond 64 MiB, and with the engine's own error where an event carries one.
  Result<void> feed(std::string_view bytes);

  // Whether the engine said that the answer is complete ("[DONE]"); one that broke off is none.
  [[nodiscard]] bool complete() const { return complete_; }
  // The answer, once complete; call it once. The usage is the sum over its choices; the prompt
  // counts once for `choices_per_prompt` of them (the request's "n").
  [[nodiscard]] json::object finish(std::uint64_t choices_per_prompt);
  [[nodiscard]] const Usage& usage() const { return usage_; }

 private:
  Result<void> take(std::string_view event);
  void take_choice(const json::object& choice);

  EventSplitter splitter_;
  json::object answer_;                           // all but choices
  std::map<std::int64_t, json::object> choices_;  // by index
  Usage usage_;
  std::size_t size_ = 0;  // bytes of all events so far
  bool complete_ = false;
};

}  // namespace berth::gateway
