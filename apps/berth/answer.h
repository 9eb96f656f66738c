// Asking a model: one request to the gateway, its answer printed as it comes.
#pragma once

#include "api_client.h"

#include <cstdint>
#include <optional>
#include <string>

namespace berth::app {

struct Question {
  std::string model;
  bool chat = false;
  std::string prompt;    // of a completion
  json::array messages;  // of a chat
  std::optional<std::uint32_t> max_tokens;
  std::optional<double> temperature;
};

// Streams the answer to standard output and returns its text. Ctrl-C ends the answer only: fails
// with cancelled.
Result<std::string> stream_answer(const ApiClient& client, const Question& question);

// The whole answer as the gateway gives it.
Result<json::value> fetch_answer(const ApiClient& client, const Question& question);

}  // namespace berth::app
