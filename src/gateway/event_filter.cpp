#include "gateway/event_filter.h"

#include "base/json.h"
#include "net/http.h"

#include <simdjson.h>

namespace berth::gateway {
namespace {

namespace ondemand = simdjson::ondemand;

// Inside a JSON text a quote in a string is escaped, so these bytes can only end a key. They begin
// with a letter because a search for a quote stops at every quote.
constexpr std::string_view kUsageKey = "usage\":";
constexpr std::string_view kProgressKey = "prompt_progress\":";
constexpr int kErrorStatus = 500;  // of an error event that names no status

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

bool has(std::string_view text, std::string_view key) {
  const auto at = text.find(key);
  return at != std::string_view::npos && at > 0 && text[at - 1] == '"';
}

// The data of an event that carries an error, else empty.
std::string_view error_of(std::string_view event) {
  const auto data = data_of(event);
  if (data.starts_with("{\"error\":")) return data;
  // "error: {…}", as llama.cpp once wrote it.
  if (!event.starts_with("error: {")) return {};
  event.remove_prefix(event.find('{'));
  return event.substr(0, event.find_first_of("\r\n"));
}

Error engine_error(std::string_view data) {
  int status = kErrorStatus;
  if (const auto parsed = parse_json(data); parsed && parsed->is_object()) {
    const auto* error = parsed->get_object().if_contains("error");
    const auto* code =
        error != nullptr && error->is_object() ? error->get_object().if_contains("code") : nullptr;
    const bool is_status =
        code != nullptr && code->is_int64() && code->get_int64() >= 400 && code->get_int64() < 600;
    if (is_status) status = static_cast<int>(code->get_int64());
  }
  return net::error_from_response(status, data);
}

}  // namespace

std::optional<Usage> read_usage(std::string_view json) {
  return has(json, kUsageKey) ? read_event(json).usage : std::nullopt;
}

Result<void> check_event(std::string_view event) {
  const auto error = error_of(event);
  if (error.empty()) return {};
  return fail(engine_error(error));
}

bool EventFilter::look_at(std::string_view event) {
  if (!wishes_.progress && has(event, kProgressKey)) return false;
  if (!has(event, kUsageKey)) return true;
  const Event read = read_event(data_of(event));
  if (!read.usage) return true;
  // One for each choice of the answer, where an engine works on them apart.
  usage_ += *read.usage;
  return wishes_.usage || read.has_choices;
}

Result<std::string_view> EventFilter::feed(std::string_view bytes) {
  out_.clear();
  std::string_view run;  // events in a row that pass: mostly all of `bytes`, which is not copied
  auto fed = splitter_.feed(bytes, [&](std::string_view event) {
    if (!look_at(event)) return;
    if (run.data() != nullptr && run.data() + run.size() == event.data()) {
      run = {run.data(), run.size() + event.size()};
      return;
    }
    out_ += run;
    run = event;
  });
  if (!fed) return fail(std::move(fed).error());
  if (out_.empty()) return run;
  out_ += run;
  return std::string_view(out_);
}

}  // namespace berth::gateway
