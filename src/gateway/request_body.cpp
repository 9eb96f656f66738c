#include "gateway/request_body.h"

#include "base/json.h"
#include "gateway/media.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>
#include <vector>

#include <simdjson.h>

namespace berth::gateway {
namespace {

namespace ondemand = simdjson::ondemand;

constexpr std::size_t kMaxKeys = 256;

tl::unexpected<Error> not_json(std::string_view why) {
  return fail(ErrorCode::invalid_request, "the body is not a JSON object: {}", why);
}

tl::unexpected<Error> wrong_type(std::string_view field, std::string_view expected) {
  return fail(make_error(ErrorCode::invalid_parameter, "{} must be {}", field, expected)
                  .with_field(std::string(field)));
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const auto first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

// The raw text of a value: true, false, or null, which counts as false.
Result<bool> read_switch(std::string_view field, std::string_view raw) {
  raw = trimmed(raw);
  if (raw == "true") return true;
  if (raw == "false" || raw == "null") return false;
  return wrong_type(field, "true or false");
}

// "n"; the engine judges it, here it only divides what it counted.
Result<std::uint64_t> read_count(std::string_view raw) {
  raw = trimmed(raw);
  if (raw == "null") return 1;
  std::uint64_t count = 0;
  const auto [end, error] = std::from_chars(raw.data(), raw.data() + raw.size(), count);
  if (error != std::errc{} || end != raw.data() + raw.size() || count == 0) {
    return wrong_type("n", "a whole number from 1");
  }
  return count;
}

// A key is compared by its meaning: "mod\u0065l" is "model" too.
Result<void> scan(simdjson::padded_string_view text, RoutedBody& body) {
  thread_local ondemand::parser parser;
  ondemand::document document;
  ondemand::object object;
  if (const auto error = parser.iterate(text).get(document)) {
    return not_json(simdjson::error_message(error));
  }
  if (const auto error = document.get_object().get(object)) {
    return not_json(simdjson::error_message(error));
  }
  std::vector<std::string> keys;
  bool has_model = false;
  for (auto result : object) {
    ondemand::field field;
    std::string_view key;
    if (const auto error = std::move(result).get(field)) {
      return not_json(simdjson::error_message(error));
    }
    if (const auto error = field.unescaped_key().get(key)) {
      return not_json(simdjson::error_message(error));
    }
    if (std::find(keys.begin(), keys.end(), key) != keys.end()) {
      return fail(make_error(ErrorCode::invalid_request, "the body names \"{}\" twice", key)
                      .with_field(std::string(key)));
    }
    if (keys.size() == kMaxKeys) return not_json("it has too many keys");
    keys.emplace_back(key);
    auto& value = field.value();
    std::string_view raw;
    if (keys.back() != "model") {
      // Reading the raw text checks that the value ends where it should.
      if (const auto error = simdjson::to_json_string(value).get(raw)) {
        return not_json(simdjson::error_message(error));
      }
    }
    const auto here = [&] {
      return RoutedBody::Span{static_cast<std::size_t>(raw.data() - text.data()), raw.size()};
    };
    if (keys.back() == "model") {
      std::string_view model;
      if (value.get_string().get(model)) return wrong_type("model", "a text");
      body.model = std::string(model);
      has_model = true;
    } else if (keys.back() == "stream") {
      body.stream_span = here();
      BERTH_TRY(body.stream, read_switch("stream", raw));
    } else if (keys.back() == "return_progress") {
      body.progress_span = here();
      BERTH_TRY(body.wishes.progress, read_switch("return_progress", raw));
    } else if (keys.back() == "stream_options") {
      body.stream_options_span = here();
    } else if (keys.back() == "messages") {
      BERTH_CHECK(check_media(raw));
    } else if (keys.back() == "n") {
      BERTH_TRY(body.choices, read_count(raw));
    }
  }
  if (document.current_location().error() != simdjson::OUT_OF_BOUNDS) {
    return not_json("text after its end");
  }
  if (!has_model) {
    return fail(make_error(ErrorCode::invalid_parameter,
                           "model is missing: name the model that shall answer")
                    .with_field("model"));
  }
  return {};
}

// {"include_usage": true} with whatever else the client put there.
Result<json::object> read_stream_options(std::string_view text) {
  BERTH_TRY(json::value value, parse_json(text));
  if (value.is_null()) return json::object{};
  if (!value.is_object()) return wrong_type("stream_options", "an object");
  return std::move(value.get_object());
}

// One change of the text: what stands at `begin` for `length` bytes becomes `text`.
struct Edit {
  std::size_t begin = 0;
  std::size_t length = 0;
  std::string text;
};

// Replaces the value at `span`, or adds the member where there is none.
Edit put(const RoutedBody& body, const std::optional<RoutedBody::Span>& span, std::string_view key,
         std::string value) {
  if (span) return {span->begin, span->length, std::move(value)};
  return {body.text.find('{') + 1, 0, fmt::format("\"{}\":{},", key, value)};
}

}  // namespace

Result<RoutedBody> read_body(std::string text) {
  RoutedBody body;
  body.text = std::move(text);
  // The parser reads beyond the end, in what the text has reserved: no copy is made.
  body.text.reserve(body.text.size() + simdjson::SIMDJSON_PADDING);
  BERTH_CHECK(
      scan(simdjson::padded_string_view(body.text.data(), body.text.size(), body.text.capacity()),
           body));
  if (body.stream && body.stream_options_span) {
    const auto [begin, length] = *body.stream_options_span;
    BERTH_TRY(const json::object options,
              read_stream_options(std::string_view(body.text).substr(begin, length)));
    if (const auto* asked = options.if_contains("include_usage"); asked != nullptr) {
      if (!asked->is_bool()) return wrong_type("stream_options.include_usage", "true or false");
      body.wishes.usage = asked->get_bool();
    }
  }
  return body;
}

std::optional<std::string> upstream_text(const RoutedBody& body, const backends::EngineApi& api) {
  if (!body.stream && !api.learns_by_writing) return std::nullopt;
  json::object options;
  if (body.stream && body.stream_options_span) {
    const auto [begin, length] = *body.stream_options_span;
    auto read = read_stream_options(std::string_view(body.text).substr(begin, length));
    if (read) options = std::move(*read);  // it was read before
  }
  options["include_usage"] = true;
  std::vector<Edit> edits;
  edits.push_back(put(body, body.stream_options_span, "stream_options", to_text(options)));
  if (!body.stream) edits.push_back(put(body, body.stream_span, "stream", "true"));
  if (api.learns_by_writing && !body.wishes.progress) {
    edits.push_back(put(body, body.progress_span, "return_progress", "true"));
  }
  // From the end to the front, so that places stay where they were read.
  std::sort(edits.begin(), edits.end(),
            [](const Edit& a, const Edit& b) { return a.begin > b.begin; });
  std::string text = body.text;
  for (const auto& edit : edits) text.replace(edit.begin, edit.length, edit.text);
  return text;
}

}  // namespace berth::gateway
