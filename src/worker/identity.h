// Identity: what stays the same over an agent's restarts: its name, the tag of its processes, the
// shim program; and where its server is. Blocking.
#pragma once

#include "base/data_folder.h"
#include "base/result.h"
#include "worker/agent.h"
#include "worker/server_link.h"

#include <filesystem>
#include <string>

namespace berth::worker {

struct Identity {
  std::string name;
  std::string tag;             // in the environment of every process of ours
  std::filesystem::path shim;  // our copy, which an upgrade does not replace
};

// Reads what an earlier agent wrote, and writes what is missing.
Result<Identity> make_identity(const AgentOptions& options);

// The server on this machine, as server.json and worker.key tell. Fails with unavailable where none
// runs.
Result<ServerLink::Server> find_server(const DataFolder& data);

}  // namespace berth::worker
