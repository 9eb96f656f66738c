#include "gateway/request_body.h"

#include "base/json.h"

#include <algorithm>
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

// Where a value stands in the body.
struct Span {
  std::size_t begin = 0;
  std::size_t length = 0;
};

// The members that matter, as they stand in the text.
struct Members {
  std::optional<std::string> model;
  bool stream = false;
  std::optional<Span> stream_options;
  bool empty = true;
};

// A key is compared by its meaning: "mod\u0065l" is "model" too.
Result<Members> scan(const simdjson::padded_string& text) {
  thread_local ondemand::parser parser;
  ondemand::document document;
  ondemand::object object;
  if (const auto error = parser.iterate(text).get(document)) {
    return not_json(simdjson::error_message(error));
  }
  if (const auto error = document.get_object().get(object)) {
    return not_json(simdjson::error_message(error));
  }
  Members members;
  std::vector<std::string> keys;
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
    members.empty = false;
    auto& value = field.value();
    if (keys.back() == "model") {
      std::string_view model;
      if (value.get_string().get(model)) return wrong_type("model", "a text");
      members.model = std::string(model);
    } else if (keys.back() == "stream") {
      if (value.is_null()) continue;
      if (value.get_bool().get(members.stream)) return wrong_type("stream", "true or false");
    } else if (keys.back() == "stream_options") {
      std::string_view raw;
      if (const auto error = simdjson::to_json_string(value).get(raw)) {
        return not_json(simdjson::error_message(error));
      }
      members.stream_options = Span{static_cast<std::size_t>(raw.data() - text.data()), raw.size()};
    } else {
      // Reading the raw text checks that the value ends where it should.
      std::string_view raw;
      if (const auto error = simdjson::to_json_string(value).get(raw)) {
        return not_json(simdjson::error_message(error));
      }
    }
  }
  if (document.current_location().error() != simdjson::OUT_OF_BOUNDS) {
    return not_json("text after its end");
  }
  return members;
}

// {"include_usage": true} with whatever else the client put there.
Result<json::object> read_stream_options(std::string_view text) {
  BERTH_TRY(json::value value, parse_json(text));
  if (value.is_null()) return json::object{};
  if (!value.is_object()) return wrong_type("stream_options", "an object");
  return std::move(value.get_object());
}

}  // namespace

Result<RoutedBody> read_body(std::string body) {
  const simdjson::padded_string padded(body);
  BERTH_TRY(const Members members, scan(padded));
  if (!members.model) {
    return fail(make_error(ErrorCode::invalid_parameter,
                           "model is missing: name the model that shall answer")
                    .with_field("model"));
  }
  RoutedBody result{.model = *members.model, .stream = members.stream};
  if (!members.stream) {
    result.upstream = std::move(body);
    return result;
  }
  json::object options;
  if (members.stream_options) {
    const auto [begin, length] = *members.stream_options;
    BERTH_TRY(options, read_stream_options(std::string_view(body).substr(begin, length)));
    if (const auto* asked = options.if_contains("include_usage"); asked != nullptr) {
      if (!asked->is_bool()) return wrong_type("stream_options.include_usage", "true or false");
      result.wants_usage = asked->get_bool();
    }
  }
  options["include_usage"] = true;
  const std::string replacement = to_text(options);
  if (members.stream_options) {
    body.replace(members.stream_options->begin, members.stream_options->length, replacement);
  } else {
    body.insert(body.find('{') + 1, "\"stream_options\":" + replacement + ",");
  }
  result.upstream = std::move(body);
  return result;
}

}  // namespace berth::gateway
