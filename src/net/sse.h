// Server-sent events: reading a stream of bytes into events, and writing them.
#pragma once

#include "base/bytes.h"
#include "base/result.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace berth::net {

struct SseEvent {
  std::string event;              // empty: "message"
  std::string data;               // lines joined by "\n"
  std::optional<std::string> id;  // as this event gave it; not remembered from earlier ones

  friend bool operator==(const SseEvent&, const SseEvent&) = default;
};

// Reads a stream in any cut (HTML standard, "Event stream interpretation"): comments, "retry" and
// unknown fields are skipped, as is an event without data; an event that the end cuts off is never
// seen. Lines end with LF, CRLF or CR.
class SseParser {
 public:
  explicit SseParser(Bytes event_limit = 1_MiB) : limit_(event_limit) {}

  // The events that `bytes` completes. Fails with too_large when one event exceeds the limit; the
  // parser is then of no further use.
  Result<std::vector<SseEvent>> feed(std::string_view bytes);

 private:
  void end_line(std::vector<SseEvent>& events);

  Bytes limit_;
  std::string line_;  // the line that has not ended yet
  SseEvent current_;
  bool has_data_ = false;
  bool after_cr_ = false;  // a LF that follows belongs to the line end already seen
  bool at_start_ = true;   // a byte order mark may come
};

// The text of one event: "event: …", "id: …" where given, "data: …" for each line, a blank line.
std::string sse_event(const SseEvent& event);
std::string sse_data(std::string_view data);
// A comment, which readers skip: keeps a connection from looking dead.
std::string sse_comment(std::string_view text);

}  // namespace berth::net
