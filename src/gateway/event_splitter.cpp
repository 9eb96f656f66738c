#include "gateway/event_splitter.h"

namespace berth::gateway {
namespace {

constexpr Bytes kLargestEvent = 1_MiB;

}  // namespace

std::size_t end_of_event(std::string_view text) {
  for (std::size_t i = text.find('\n'); i != std::string_view::npos; i = text.find('\n', i + 1)) {
    if (i + 1 < text.size() && text[i + 1] == '\n') return i + 2;
    if (i + 2 < text.size() && text[i + 1] == '\r' && text[i + 2] == '\n') return i + 3;
  }
  return std::string_view::npos;
}

std::string_view data_of(std::string_view event) {
  constexpr std::string_view marker = "data:";
  const auto start = event.find(marker);
  if (start == std::string_view::npos) return {};
  auto data = event.substr(start + marker.size());
  if (data.starts_with(' ')) data.remove_prefix(1);
  return data.substr(0, data.find_first_of("\r\n"));
}

std::string_view EventSplitter::begin(std::string_view bytes) {
  pending_.erase(0, consumed_);
  consumed_ = 0;
  if (pending_.empty()) {
    std::string().swap(pending_);  // a stream that idles holds nothing
    return bytes;
  }
  pending_ += bytes;
  return pending_;
}

Result<void> EventSplitter::keep(std::string_view left) {
  if (pending_.empty()) {
    pending_ = left;
  } else {
    consumed_ = pending_.size() - left.size();
  }
  if (left.size() > kLargestEvent.count) {
    return fail(ErrorCode::too_large, "the engine sent an event of more than {}", kLargestEvent);
  }
  return {};
}

}  // namespace berth::gateway
