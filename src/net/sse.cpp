#include "net/sse.h"

namespace berth::net {

Result<std::vector<SseEvent>> SseParser::feed(std::string_view bytes) {
  std::vector<SseEvent> events;
  while (!bytes.empty()) {
    if (after_cr_) {
      after_cr_ = false;
      if (bytes.front() == '\n') {
        bytes.remove_prefix(1);
        continue;
      }
    }
    const std::size_t end = bytes.find_first_of("\r\n");
    line_ += bytes.substr(0, end);
    if (line_.size() + current_.data.size() + current_.event.size() > limit_.count) {
      return fail(ErrorCode::too_large, "an event of the stream is larger than {}", limit_);
    }
    if (end == std::string_view::npos) break;
    after_cr_ = bytes[end] == '\r';
    bytes.remove_prefix(end + 1);
    end_line(events);
  }
  return events;
}

void SseParser::end_line(std::vector<SseEvent>& events) {
  std::string_view line = line_;
  if (at_start_ && line.starts_with("\xEF\xBB\xBF")) line.remove_prefix(3);
  at_start_ = false;
  if (line.empty()) {
    if (has_data_) {
      current_.data.pop_back();  // the line feed after the last line
      events.push_back(std::move(current_));
    }
    current_ = {};
    has_data_ = false;
  } else if (!line.starts_with(':')) {
    const std::size_t colon = std::min(line.find(':'), line.size());
    const std::string_view field = line.substr(0, colon);
    std::string_view value = line.substr(std::min(colon + 1, line.size()));
    if (value.starts_with(' ')) value.remove_prefix(1);
    if (field == "data") {
      current_.data += value;
      current_.data += '\n';
      has_data_ = true;
    } else if (field == "event") {
      current_.event = value;
    } else if (field == "id" && value.find('\0') == std::string_view::npos) {
      current_.id = std::string(value);
    }
  }
  line_.clear();
}

std::string sse_event(const SseEvent& event) {
  std::string text;
  if (!event.event.empty()) text += "event: " + event.event + "\n";
  if (event.id) text += "id: " + *event.id + "\n";
  return text + sse_data(event.data);
}

std::string sse_data(std::string_view data) {
  std::string text;
  text.reserve(data.size() + 8);
  for (;;) {
    const std::size_t end = data.find_first_of("\r\n");
    text += "data: ";
    text += data.substr(0, end);
    text += '\n';
    if (end == std::string_view::npos) break;
    const bool pair = data[end] == '\r' && end + 1 < data.size() && data[end + 1] == '\n';
    data.remove_prefix(end + (pair ? 2 : 1));
  }
  text += '\n';
  return text;
}

std::string sse_comment(std::string_view text) { return ": " + std::string(text) + "\n\n"; }

}  // namespace berth::net
