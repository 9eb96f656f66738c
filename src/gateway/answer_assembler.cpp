#include "gateway/answer_assembler.h"

#include "gateway/event_filter.h"

#include <algorithm>

namespace berth::gateway {
namespace {

constexpr Bytes kLargestAnswer = 64_MiB;

void append_text(json::value& to, const json::string& piece) {
  if (to.is_string()) {
    to.get_string().append(std::string_view(piece.data(), piece.size()));
  } else {
    to = piece;
  }
}

void append_elements(json::value& to, const json::array& pieces) {
  if (!to.is_array()) to = json::array{};
  for (const auto& piece : pieces) to.get_array().push_back(piece);
}

std::int64_t index_of(const json::object& object) {
  const auto* index = object.if_contains("index");
  return index != nullptr && index->is_int64() ? index->get_int64() : 0;
}

// Identifiers and names come once, whole; every other text comes in pieces.
bool is_whole(std::string_view key) { return key == "role" || key == "id" || key == "type"; }

void merge_delta(json::object& message, const json::object& delta);

// The calls of one message, each of them in pieces that carry its index.
void merge_calls(json::value& calls, const json::array& pieces) {
  if (!calls.is_array()) calls = json::array{};
  auto& list = calls.get_array();
  for (const auto& piece : pieces) {
    if (!piece.is_object()) continue;
    const std::int64_t index = index_of(piece.get_object());
    const auto known = std::find_if(list.begin(), list.end(), [&](const json::value& call) {
      return index_of(call.get_object()) == index;
    });
    json::value& call = known == list.end() ? list.emplace_back(json::object{}) : *known;
    merge_delta(call.get_object(), piece.get_object());
  }
}

void merge_delta(json::object& message, const json::object& delta) {
  for (const auto& [key, value] : delta) {
    json::value& slot = message[key];
    if (key == "tool_calls" && value.is_array()) {
      merge_calls(slot, value.get_array());
    } else if (value.is_string() && !is_whole(key)) {
      append_text(slot, value.get_string());
    } else if (value.is_object()) {
      if (!slot.is_object()) slot = json::object{};
      merge_delta(slot.get_object(), value.get_object());
    } else if (!value.is_null()) {
      slot = value;
    }
  }
}

// {"content": [...], "refusal": [...]}: lists that grow.
void merge_logprobs(json::value& to, const json::value& piece) {
  if (!piece.is_object()) return;
  if (!to.is_object()) to = json::object{};
  for (const auto& [key, value] : piece.get_object()) {
    json::value& slot = to.get_object()[key];
    if (value.is_array())
      append_elements(slot, value.get_array());
    else if (!value.is_null())
      slot = value;
  }
}

// A message as it is without streaming: calls have no index, and content is there, if only null.
void finish_message(json::object& message) {
  if (auto* calls = message.if_contains("tool_calls"); calls != nullptr && calls->is_array()) {
    for (auto& call : calls->get_array()) call.get_object().erase("index");
  } else if (const auto* content = message.if_contains("content");
             content == nullptr || content->is_null()) {
    message["content"] = "";
  }
  if (!message.contains("content")) message["content"] = nullptr;
}

}  // namespace

Result<void> AnswerAssembler::feed(std::string_view bytes) {
  size_ += bytes.size();
  if (size_ > kLargestAnswer.count) {
    return fail(ErrorCode::too_large, "the engine's answer is larger than {}", kLargestAnswer);
  }
  Result<void> result;
  BERTH_CHECK(splitter_.feed(bytes, [&](std::string_view event) {
    if (result) result = take(event);
  }));
  return result;
}

Result<void> AnswerAssembler::take(std::string_view event) {
  BERTH_CHECK(check_event(event));
  const auto data = data_of(event);
  if (data.empty()) return {};
  if (data == "[DONE]") {
    complete_ = true;
    return {};
  }
  auto parsed = parse_json(data);
  if (!parsed || !parsed->is_object()) {
    return fail(ErrorCode::unavailable, "the engine sent an event that is no JSON object");
  }
  auto& object = parsed->get_object();
  if (object.erase("prompt_progress") > 0 && answer_.contains("id")) return {};
  if (const auto usage = read_usage(data)) usage_ += *usage;
  if (const auto* choices = object.if_contains("choices"); choices && choices->is_array()) {
    for (const auto& choice : choices->get_array()) {
      if (choice.is_object()) take_choice(choice.get_object());
    }
  }
  object.erase("choices");
  for (auto& member : object) answer_[member.key()] = std::move(member.value());
  return {};
}

void AnswerAssembler::take_choice(const json::object& choice) {
  auto& merged = choices_[index_of(choice)];
  for (const auto& [key, value] : choice) {
    if (key == "delta" && value.is_object()) {
      json::value& message = merged["message"];
      if (!message.is_object()) message = json::object{};
      merge_delta(message.get_object(), value.get_object());
    } else if (key == "text" && value.is_string()) {
      append_text(merged["text"], value.get_string());
    } else if (key == "logprobs") {
      merge_logprobs(merged["logprobs"], value);
    } else if (!value.is_null() || !merged.contains(key)) {
      merged[key] = value;
    }
  }
}

json::object AnswerAssembler::finish(std::uint64_t choices_per_prompt) {
  usage_.prompt_tokens /= std::max<std::uint64_t>(choices_per_prompt, 1);
  json::array choices;
  for (auto& [index, choice] : choices_) {
    if (auto* message = choice.if_contains("message"); message != nullptr && message->is_object()) {
      finish_message(message->get_object());
    }
    choices.push_back(std::move(choice));
  }
  answer_["choices"] = std::move(choices);
  if (auto* object = answer_.if_contains("object");
      object != nullptr && *object == "chat.completion.chunk") {
    *object = "chat.completion";
  }
  if (auto* usage = answer_.if_contains("usage"); usage != nullptr && usage->is_object()) {
    auto& counts = usage->get_object();
    counts["prompt_tokens"] = usage_.prompt_tokens;
    counts["completion_tokens"] = usage_.completion_tokens;
    counts["total_tokens"] = usage_.prompt_tokens + usage_.completion_tokens;
  }
  return std::move(answer_);
}

}  // namespace berth::gateway
