#include "gateway/usage_filter.h"

#include <simdjson.h>

namespace berth::gateway {
namespace {

namespace ondemand = simdjson::ondemand;

constexpr Bytes kLargestEvent = 1_MiB;
// Inside a JSON text a quote in a string is escaped, so these bytes can only be a key.
constexpr std::string_view kUsageKey = "\"usage\":";

struct Event {
  std::optional<Usage> usage;
  bool has_choices = false;  // with at least one element
};

Event read_event(std::string_view text) {
  thread_local ondemand::parser parser;
  Event event;
  const simdjson::padded_string padded(text);
  ondemand::document document;
  if (parser.iterate(padded).get(document)) return event;
  ondemand::object usage;
  if (!document["usage"].get_object().get(usage)) {
    Usage counts;
    const bool complete = !usage["prompt_tokens"].get_uint64().get(counts.prompt_tokens);
    if (complete) {
      // Absent for embeddings.
      if (document["usage"]["completion_tokens"].get_uint64().get(counts.completion_tokens)) {
        counts.completion_tokens = 0;
      }
      event.usage = counts;
    }
  }
  ondemand::array choices;
  if (!document["choices"].get_array().get(choices)) {
    bool empty = true;
    if (choices.is_empty().get(empty)) empty = true;
    event.has_choices = !empty;
  }
  return event;
}

// The text behind "data:" of an event of one data line.
std::string_view data_of(std::string_view event) {
  constexpr std::string_view marker = "data:";
  const auto start = event.find(marker);
  if (start == std::string_view::npos) return {};
  auto data = event.substr(start + marker.size());
  return data.substr(0, data.find_first_of("\r\n"));
}

// Where the first event of `text` ends (one past its blank line); npos where it has no end yet.
std::size_t end_of_event(std::string_view text) {
  for (std::size_t i = text.find('\n'); i != std::string_view::npos; i = text.find('\n', i + 1)) {
    if (i + 1 < text.size() && text[i + 1] == '\n') return i + 2;
    if (i + 2 < text.size() && text[i + 1] == '\r' && text[i + 2] == '\n') return i + 3;
  }
  return std::string_view::npos;
}

}  // namespace

std::optional<Usage> read_usage(std::string_view json) {
  return json.find(kUsageKey) == std::string_view::npos ? std::nullopt : read_event(json).usage;
}

bool UsageFilter::look_at(std::string_view event) {
  const auto data = data_of(event);
  if (data.empty()) return true;
  if (event.find(kUsageKey) == std::string_view::npos) return true;
  const Event read = read_event(data);
  if (!read.usage) return true;
  usage_ = read.usage;
  return pass_usage_ || read.has_choices;
}

Result<std::string_view> UsageFilter::feed(std::string_view bytes) {
  out_.clear();
  pending_ += bytes;
  std::string_view left = pending_;
  for (auto end = end_of_event(left); end != std::string_view::npos; end = end_of_event(left)) {
    const auto event = left.substr(0, end);
    if (look_at(event)) out_ += event;
    left.remove_prefix(end);
  }
  pending_.erase(0, pending_.size() - left.size());
  if (pending_.size() > kLargestEvent.count) {
    return fail(ErrorCode::too_large, "the engine sent an event of more than {}", kLargestEvent);
  }
  return std::string_view(out_);
}

}  // namespace berth::gateway
