// UsageFilter: reads the token counts of a stream on its way, and withholds the usage event from
// clients that did not ask for it.
#pragma once

#include "base/bytes.h"
#include "base/result.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace berth::gateway {

// Token counts of one request, as the engine tells them.
struct Usage {
  std::uint64_t prompt_tokens = 0;
  std::uint64_t completion_tokens = 0;

  friend bool operator==(const Usage&, const Usage&) = default;
};

// The "usage" member of a whole answer, where it has one.
std::optional<Usage> read_usage(std::string_view json);

// Not thread-safe; one a stream.
class UsageFilter {
 public:
  explicit UsageFilter(bool pass_usage) : pass_usage_(pass_usage) {}

  // The bytes to pass on now: whole events only. The view lives until the next call. Fails with
  // too_large where one event exceeds 1 MiB.
  Result<std::string_view> feed(std::string_view bytes);
  // What an engine left without the end of an event.
  [[nodiscard]] std::string_view rest() const { return pending_; }

  [[nodiscard]] const std::optional<Usage>& usage() const { return usage_; }

 private:
  // False: the event is only for the usage, and the client did not ask.
  bool look_at(std::string_view event);

  bool pass_usage_;
  std::string pending_;  // an event whose end has not come
  std::string out_;
  std::optional<Usage> usage_;
};

}  // namespace berth::gateway
