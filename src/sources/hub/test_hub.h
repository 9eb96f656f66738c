// What the tests of the hubs share: settings that lead to a scripted server. Included by *_test.cpp
// only.
#pragma once

#include "sources/hub/client.h"
#include "sources/test_server.h"

#include <string>
#include <string_view>

namespace berth::sources::testing {

inline const std::string kCommit(40, 'c');

// All hubs at one server, and a client that does not wait long.
inline HubSettings settings_for(const TestServer& server, std::string_view token = "") {
  HubSettings settings;
  for (auto* place : {&settings.hugging_face, &settings.model_scope, &settings.ollama}) {
    place->endpoint = server.url("");
    place->token = token;
  }
  settings.http.retries.first_pause = std::chrono::milliseconds(2);
  return settings;
}

inline std::string json_answer(std::string_view body, std::string_view fields = "") {
  return status_answer("200 OK", fields, body);
}

}  // namespace berth::sources::testing
