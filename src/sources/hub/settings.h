// HubSettings: where the hubs are, who asks them, and with what patience.
#pragma once

#include "sources/http_client.h"
#include "sources/hub/name.h"

#include <functional>
#include <string>

namespace berth::sources {

struct HubPlace {
  std::string endpoint;  // "https://huggingface.co": an http(s) address without a path's last slash
  std::string token;     // of an account there; sent to no other server; empty: nobody's
};

struct HubSettings {
  HubPlace hugging_face{.endpoint = "https://huggingface.co", .token = ""};
  HubPlace model_scope{.endpoint = "https://www.modelscope.cn", .token = ""};
  HubPlace ollama{.endpoint = "https://registry.ollama.ai", .token = ""};
  bool offline = false;  // asks nobody
  // For each request; `end` is for all of them (see with_end).
  HttpOptions http;

  [[nodiscard]] const HubPlace& place_of(Hub hub) const;
};

// The value of an environment variable, or null.
using EnvironmentLookup = std::function<const char*(const char* name)>;

// What the hubs' own tools read, from the same variables: HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE
// (which stands for all hubs), MODELSCOPE_DOMAIN, MODELSCOPE_API_TOKEN; and
// BERTH_OLLAMA_REGISTRY, the address of another registry of Ollama's kind. Fails with
// invalid_parameter, naming the variable, where one holds no address.
Result<HubSettings> read_hub_settings(const EnvironmentLookup& lookup);
Result<HubSettings> read_hub_settings();

}  // namespace berth::sources
