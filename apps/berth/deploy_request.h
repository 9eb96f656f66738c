// What `berth deploy` and `berth run` ask the server to deploy.
#pragma once

#include "api_client.h"
#include "api_views.h"
#include "model/deployment.h"

#include <optional>
#include <string>
#include <string_view>

namespace berth::app {

// The absolute path of a model that the user named, or its name on a hub. A glob stays one, unless
// the server is on this machine. Fails with invalid_parameter, and with not_found where the server
// is on this machine and nothing is there.
Result<std::string> absolute_source(const std::string& text, bool same_machine);

// Whether the user wrote a model as a path or glob, which no model's name is like.
bool is_written_as_path(std::string_view text);

// The deployed model of that name, if there is one.
Result<std::optional<ModelView>> find_model(const ApiClient& client, const std::string& name);

// The path that `glob` matches where the server's workers are. Fails with what they say.
Result<std::string> ask_what_matches(const ApiClient& client, const std::string& glob);

// A model's name from its file, folder or name on a hub: "m/My Model-00001-of-00002.gguf" is
// "My-Model", "hf:org/Name-GGUF:Q8_0" is "Name". Empty
// where nothing is left of it.
std::string name_from_source(const std::string& source);

// Asks for the deployment.
Result<json::value> create_model(const ApiClient& client, const model::Deployment& deployment);

}  // namespace berth::app
