// EventSplitter: cuts a stream of server-sent events into whole events, without copying those that
// came whole.
#pragma once

#include "base/bytes.h"
#include "base/result.h"

#include <string>
#include <string_view>

namespace berth::gateway {

// Where the first event of `text` ends (one past its blank line); npos where it has no end yet.
std::size_t end_of_event(std::string_view text);

// The text behind "data:" of an event of one data line, as engines send them; else empty.
std::string_view data_of(std::string_view event);

// Not thread-safe; one a stream.
class EventSplitter {
 public:
  // Calls `each` with every event that `bytes` completes, its blank line included. The views live
  // until the next call, as long as `bytes` does. Fails with too_large where one event exceeds 1
  // MiB.
  template <class Each>
  Result<void> feed(std::string_view bytes, Each each) {
    std::string_view left = begin(bytes);
    for (auto end = end_of_event(left); end != std::string_view::npos; end = end_of_event(left)) {
      each(left.substr(0, end));
      left.remove_prefix(end);
    }
    return keep(left);
  }

  // What has come of an event whose end has not.
  [[nodiscard]] std::string_view rest() const {
    return std::string_view(pending_).substr(consumed_);
  }

 private:
  std::string_view begin(std::string_view bytes);
  Result<void> keep(std::string_view left);

  std::string pending_;
  std::size_t consumed_ = 0;  // of pending_, whose views are in use until the next call
};

}  // namespace berth::gateway
