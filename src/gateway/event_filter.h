// EventFilter: looks at the events of a stream on their way to a client that streams: reads the
// token counts, and withholds what the client did not ask for.
#pragma once

#include "base/result.h"
#include "gateway/event_splitter.h"
#include "gateway/usage.h"

#include <optional>
#include <string>
#include <string_view>

namespace berth::gateway {

struct EventWishes {
  bool usage = false;     // the client asked for the usage event
  bool progress = false;  // and for the progress of the prompt
};

// Not thread-safe; one a stream.
class EventFilter {
 public:
  explicit EventFilter(EventWishes wishes) : wishes_(wishes) {}

  // The bytes to pass on now: whole events only. The view lives until the next call, as long as
  // `bytes` does. Fails with too_large where one event exceeds 1 MiB.
  Result<std::string_view> feed(std::string_view bytes);
  // What an engine left without the end of an event.
  [[nodiscard]] std::string_view rest() const { return splitter_.rest(); }

  [[nodiscard]] const Usage& usage() const { return usage_; }

 private:
  // Whether the client gets the event.
  bool look_at(std::string_view event);

  EventWishes wishes_;
  EventSplitter splitter_;
  std::string out_;
  Usage usage_;
};

// Fails with the engine's own error where an event carries one instead of a piece of the answer.
// Pure.
Result<void> check_event(std::string_view event);

}  // namespace berth::gateway
