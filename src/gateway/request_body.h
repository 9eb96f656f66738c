// What the gateway reads from a request's body and changes in it, without parsing the rest.
#pragma once

#include "backends/backend.h"
#include "base/result.h"
#include "gateway/event_filter.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace berth::gateway {

// A JSON object of a client, and what was read of it.
struct RoutedBody {
  // Where a value stands in the text.
  struct Span {
    std::size_t begin = 0;
    std::size_t length = 0;
  };

  std::string text;
  std::string model;
  bool stream = false;
  EventWishes wishes;         // what the client wants of a stream beyond the answer
  std::uint64_t choices = 1;  // "n": answers to one prompt

  std::optional<Span> stream_span;
  std::optional<Span> stream_options_span;
  std::optional<Span> progress_span;
};

// Reads "model", "stream", "stream_options", "return_progress" and "n". Fails with invalid_request
// for what is no JSON object or names a key twice (engines and parsers disagree on which of them
// counts), and with invalid_parameter naming the field. Pure; thread-safe.
Result<RoutedBody> read_body(std::string body);

// The text to send to an engine: a stream always tells its usage, and an engine that learns by
// writing always streams. Pure.
std::string upstream_text(const RoutedBody& body, const backends::EngineApi& api);

}  // namespace berth::gateway
