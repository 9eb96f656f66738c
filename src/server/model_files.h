// Where the files of a model are: which worker's disk has them, and what they say.
#pragma once

#include "base/result.h"
#include "cluster/protocol.h"
#include "model/profile.h"
#include "model/worker.h"
#include "server/context.h"
#include "sources/hub/choice.h"

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

namespace berth::server {

struct FoundModel {
  model::ModelProfile profile;
  // On that disk: what was asked for, or what its glob matches. Empty for what is on the web.
  std::string path = {};
  // The worker that read it; nothing where the server did, because no worker is ready.
  std::optional<model::Worker> worker;
  std::optional<sources::HubChoice> hub = {};  // where it is on a hub
  // And what a machine may need of it; all projectors that may go with it are among them.
  std::optional<model::RepositoryFiles> files = {};
};

// Asks the ready workers, the local one first, and takes the first that can read the model at
// `path`, or that has one which matches it (sources::resolve_glob); `only` names one. Blocks. Fails
// with what the only worker said (not_found, corrupt, unsupported …), or with what all said, each
// by name; not_found or unavailable for `only`.
Result<FoundModel> find_model(ServerContext& context, const std::filesystem::path& path,
                              const std::optional<std::string>& only = std::nullopt);

// Reads the headers of a model at an http(s) address or on a hub, on the server's machine. Blocks,
// for up to a minute. Fails as sources::profile_remote, with field "source" (permission_denied
// where the other side wants to know who asks: to the server's caller, unauthenticated is about the
// server's own keys).
Result<FoundModel> find_model_at(ServerContext& context, const std::string& source);

// What an engine of the machine that read the model measures of its buffers; empty where nothing
// there can, or it does not answer: a claim then uses bounds. `devices`: also for devices. Blocks.
// Given up
// when the server ends. See judge_found for models on the web.
model::ComputeTable judge_model(ServerContext& context, const FoundModel& found,
                                const cluster::JudgeRequest& request);

// Whether a worker has a device beside its CPU.
bool has_devices(ServerContext& context);

// How those that have no server look at a model's files, and have them judged.
struct ModelEyes {
  std::function<Result<FoundModel>(const std::filesystem::path&)> find;
  std::function<Result<FoundModel>(const std::string& name)> find_on_hub;
  std::function<model::ComputeTable(const FoundModel&, cluster::JudgeRequest)> judge;
};

// The eyes of this server: what its workers say. `context` must outlive them.
ModelEyes eyes_of(ServerContext& context);

}  // namespace berth::server
