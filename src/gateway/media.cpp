#include "gateway/media.h"

#include "base/json.h"

namespace berth::gateway {
namespace {

constexpr std::string_view kData = "data:";

Error refusal(std::string_view key) {
  return make_error(ErrorCode::invalid_parameter,
                    "{} must be a data URL (data:image/png;base64,…): nothing is fetched from "
                    "addresses",
                    key)
      .with_field("messages");
}

// {"type": "image_url", "image_url": {"url": "…"}}, or the URL alone.
Result<void> check_part(const json::object& part) {
  for (const auto& [key, value] : part) {
    if (!std::string_view(key).ends_with("_url")) continue;
    const auto* url = value.is_object() ? value.get_object().if_contains("url") : &value;
    if (url == nullptr || !url->is_string()) continue;
    if (!std::string_view(url->get_string()).starts_with(kData)) return fail(refusal(key));
  }
  return {};
}

}  // namespace

Result<void> check_media(std::string_view messages) {
  // Most requests are text alone. A key may be written with escapes.
  const bool may_have_urls = messages.find("_url") != std::string_view::npos ||
                             messages.find("\\u") != std::string_view::npos;
  if (!may_have_urls) return {};
  auto parsed = parse_json(messages);
  if (!parsed) {
    return fail(std::move(parsed).error().context("messages").with_field("messages"));
  }
  if (!parsed->is_array()) return {};
  for (const auto& message : parsed->get_array()) {
    if (!message.is_object()) continue;
    const auto* content = message.get_object().if_contains("content");
    if (content == nullptr || !content->is_array()) continue;
    for (const auto& part : content->get_array()) {
      if (part.is_object()) BERTH_CHECK(check_part(part.get_object()));
    }
  }
  return {};
}

}  // namespace berth::gateway
