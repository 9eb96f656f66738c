// Where the files of a model are: which worker's disk has them, and what they say.
#pragma once

#include "base/result.h"
#include "model/profile.h"
#include "model/worker.h"
#include "server/context.h"

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

namespace berth::server {

struct FoundModel {
  model::ModelProfile profile;
  // The worker that read it; nothing where the server did, because no worker is ready.
  std::optional<model::Worker> worker;
};

// Asks the ready workers, the local one first, and takes the first that can read the model; `only`
// names one. Blocks. Fails with what the only worker said (not_found, corrupt, unsupported …), or
// with what all said, each by name; not_found or unavailable for `only`.
Result<FoundModel> find_model(ServerContext& context, const std::filesystem::path& path,
                              const std::optional<std::string>& only = std::nullopt);

// Reads the header of the GGUF file at an http(s) address, on the server's machine. Blocks, for up
// to a minute. Fails as sources::profile_url, with field "source" (permission_denied where the
// address wants to know who asks: to its caller, unauthenticated is about the server's own keys).
Result<FoundModel> find_model_at(ServerContext& context, const std::string& address);

// As `find_model`, for those that have no server to ask.
using ModelFinder = std::function<Result<FoundModel>(const std::filesystem::path&)>;

}  // namespace berth::server
