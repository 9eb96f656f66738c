#include "answer.h"

#include "net/sse.h"
#include "terminal.h"

#include <atomic>
#include <csignal>
#include <cstdio>
#include <thread>

#include <fmt/format.h>
#include <unistd.h>

namespace berth::app {
namespace {

// A gateway may learn a moment later than the management API that a model is ready.
constexpr std::chrono::seconds kRetryFor{5};
constexpr std::chrono::milliseconds kRetryPause{200};
constexpr std::chrono::minutes kAnswerPatience{30};

std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free);

void note_interrupt(int) { interrupted.store(true); }

// While it lives, Ctrl-C sets `interrupted` and does nothing else.
class InterruptScope {
 public:
  InterruptScope() {
    interrupted.store(false);
    struct sigaction action{};
    action.sa_handler = note_interrupt;
    ::sigaction(SIGINT, &action, &before_);
  }
  ~InterruptScope() { ::sigaction(SIGINT, &before_, nullptr); }
  InterruptScope(const InterruptScope&) = delete;
  InterruptScope& operator=(const InterruptScope&) = delete;

 private:
  struct sigaction before_{};
};

std::string target_of(const Question& question) {
  return question.chat ? "/v1/chat/completions" : "/v1/completions";
}

json::object body_of(const Question& question, bool stream) {
  json::object body{{"model", question.model}, {"stream", stream}};
  if (question.chat)
    body["messages"] = question.messages;
  else
    body["prompt"] = question.prompt;
  if (question.max_tokens) body["max_tokens"] = *question.max_tokens;
  if (question.temperature) body["temperature"] = *question.temperature;
  return body;
}

std::string_view text_at(const json::object& object, std::string_view member) {
  const auto* value = object.if_contains(member);
  if (value == nullptr || !value->is_string()) return {};
  return {value->get_string().data(), value->get_string().size()};
}

// Prints the pieces of one streamed answer.
class AnswerPrinter {
 public:
  // False at the end, and where the stream can not be read.
  bool feed(std::string_view bytes) {
    auto events = parser_.feed(bytes);
    if (!events) {
      error_ = std::move(events).error();
      return false;
    }
    for (const auto& event : *events) {
      if (event.data == "[DONE]") {
        done_ = true;
        return false;
      }
      if (!take(event.data)) return false;
    }
    return true;
  }

  [[nodiscard]] bool has_begun() const { return begun_; }
  [[nodiscard]] bool cut_by_length() const { return finish_ == "length"; }
  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] Result<void> outcome() const {
    if (error_) return fail(*error_);
    if (!done_) return fail(ErrorCode::unavailable, "the answer broke off before its end");
    return {};
  }
  // So that the shell's prompt, or an error, begins a line.
  void end_line() {
    leave_thought();
    if (!text_.empty() && text_.back() != '\n') print("\n");
  }

 private:
  bool take(const std::string& data) {
    const auto value = parse_json(data);
    const auto* object = value ? value->if_object() : nullptr;
    if (object == nullptr) {
      error_ = make_error(ErrorCode::corrupt, "the answer holds a piece that is no JSON object");
      return false;
    }
    if (object->contains("error")) {
      error_ = net::error_from_response(500, data);
      return false;
    }
    const auto* choices = object->if_contains("choices");
    if (choices == nullptr || !choices->is_array() || choices->get_array().empty()) return true;
    const auto* choice = choices->get_array().front().if_object();
    if (choice == nullptr) return true;
    const auto* delta = choice->if_contains("delta");
    if (delta != nullptr && delta->is_object()) {
      print_thought(text_at(delta->get_object(), "reasoning_content"));
      add(text_at(delta->get_object(), "content"));
    } else {
      add(text_at(*choice, "text"));
    }
    if (const auto finish = text_at(*choice, "finish_reason"); !finish.empty()) finish_ = finish;
    return true;
  }

  void add(std::string_view piece) {
    if (piece.empty()) return;
    leave_thought();
    begun_ = true;
    text_ += piece;
    // A model's words must not steer the terminal; in a pipe they stay as they are.
    if (is_terminal(STDOUT_FILENO))
      print(printable_lines(piece));
    else
      print(piece);
  }

  // What a model thinks before it answers is no part of the answer: faint, and for people only.
  void print_thought(std::string_view piece) {
    if (piece.empty() || !has_colour(STDOUT_FILENO)) return;
    begun_ = true;
    thinking_ = true;
    print(styled(printable_lines(piece), Style::faint, true));
  }

  void leave_thought() {
    if (thinking_) print("\n\n");
    thinking_ = false;
  }

  static void print(std::string_view piece) {
    std::fwrite(piece.data(), 1, piece.size(), stdout);
    std::fflush(stdout);
  }

  net::SseParser parser_;
  std::optional<Error> error_;
  std::string text_;
  std::string finish_;
  bool begun_ = false;
  bool done_ = false;
  bool thinking_ = false;
};

bool may_pass(const Error& error) {
  return error.code == ErrorCode::unavailable || error.code == ErrorCode::not_found;
}

// Repeats what the gateway refuses because it does not know yet that the model is ready.
template <class Ask>
auto ask_with_patience(Ask ask) -> decltype(ask()) {
  const auto deadline = real_clock().steady_now() + kRetryFor;
  for (;;) {
    auto result = ask();
    if (result || !may_pass(result.error()) || real_clock().steady_now() >= deadline ||
        interrupted.load()) {
      return result;
    }
    std::this_thread::sleep_for(kRetryPause);
  }
}

}  // namespace

Result<std::string> stream_answer(const ApiClient& client, const Question& question) {
  const InterruptScope scope;
  AnswerPrinter printer;
  const std::string body = to_text(body_of(question, true));
  auto streamed = ask_with_patience([&]() -> Result<void> {
    auto result = client.stream(
        target_of(question), body, [&](std::string_view bytes) { return printer.feed(bytes); },
        &interrupted);
    if (result || !printer.has_begun()) return result;
    return fail(ErrorCode::cancelled, "the answer broke off: {}", result.error().to_string());
  });
  printer.end_line();
  if (!streamed && interrupted.load()) return fail(ErrorCode::cancelled, "the answer was stopped");
  BERTH_CHECK(std::move(streamed));
  BERTH_CHECK(printer.outcome());
  if (printer.cut_by_length() && question.max_tokens && is_terminal(STDERR_FILENO)) {
    fmt::print(stderr, "(cut at {} tokens; --max-tokens allows more)\n", *question.max_tokens);
  }
  return printer.text();
}

Result<json::value> fetch_answer(const ApiClient& client, const Question& question) {
  interrupted.store(false);
  const json::value body = body_of(question, false);
  return ask_with_patience([&] { return client.post(target_of(question), body, kAnswerPatience); });
}

}  // namespace berth::app
