// HubSettings: where the hubs are, who asks them, and with what patience.
#pragma once

#include "sources/http_client.h"
#include "sources/hub/name.h"

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace berth::sources {

struct HubPlace {
  std::string endpoint;  // "https://huggingface.co": an http(s) address without a path's last slash
  std::string token;     // of an account there; sent to no other server; empty: nobody's
  // For messages: where the token is from, a variable or a file; without one, where one belongs.
  std::string token_place = {};
};

struct HubSettings {
  HubPlace hugging_face{
      .endpoint = "https://huggingface.co", .token = "", .token_place = "HF_TOKEN"};
  HubPlace model_scope{.endpoint = "https://www.modelscope.cn", .token = ""};
  HubPlace ollama{.endpoint = "https://registry.ollama.ai", .token = ""};
  bool offline = false;                    // asks nobody
  std::vector<std::string> warnings = {};  // about what was read: sentences without a secret
  // For each request; `end` is for all of them (see with_end), and so are the connections that
  // read_hub_settings sets up.
  HttpOptions http;

  [[nodiscard]] const HubPlace& place_of(Hub hub) const;
};

// The value of an environment variable, or null.
using EnvironmentLookup = std::function<const char*(const char* name)>;

// What the hubs' own tools read, from the same variables: HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE
// (which stands for all hubs), MODELSCOPE_DOMAIN, MODELSCOPE_API_TOKEN; and
// BERTH_OLLAMA_REGISTRY, the address of another registry of Ollama's kind. Fails with
// invalid_parameter, naming the variable, where one holds no address.
//
// Without HF_TOKEN, Hugging Face's token is that of HUGGING_FACE_HUB_TOKEN, else of the file that
// `hf auth login` writes: HF_TOKEN_PATH, or "token" in hugging_face_home. A file that can not be
// read, or that others may read, is a warning. HF_HUB_DISABLE_IMPLICIT_TOKEN: no token is sent.
Result<HubSettings> read_hub_settings(const EnvironmentLookup& lookup);
// From this process's environment; logs each warning once.
Result<HubSettings> read_hub_settings();

// The absolute path of the folder in which Hugging Face's tools keep what is theirs: HF_HOME, else
// "huggingface" in XDG_CACHE_HOME, else in ~/.cache. "~" and "$NAME" in a variable are expanded as
// there. Need not exist. Fails with invalid_parameter, naming the variable, where that is no
// absolute path, or HOME is not set and none of the others.
Result<std::filesystem::path> hugging_face_home(const EnvironmentLookup& lookup);
// What the variable says after such an expansion, lexically normal; empty where it is not set.
// Fails with invalid_parameter as above.
Result<std::filesystem::path> path_variable(const EnvironmentLookup& lookup, const char* name);

}  // namespace berth::sources
