// Identity: what stays the same over an agent's restarts: its name, the tag of its processes, the
// shim program. Blocking.
#pragma once

#include "base/data_folder.h"
#include "base/result.h"
#include "worker/agent.h"

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

}  // namespace berth::worker
