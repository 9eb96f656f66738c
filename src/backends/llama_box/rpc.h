// The layers of a model on other processes' devices: llama.cpp's RPC (tools/rpc/README.md). A
// server for each such device, and the main process, which is a client of all.
#pragma once

#include "backends/backend.h"

#include <string>
#include <vector>

namespace berth::backends::llama_box {

inline constexpr std::string_view kRpcRole = "rpc";

// Where the main process reaches each server, in the gang's order: "127.0.0.1:41000", its own port
// where it runs on the same worker, else the tunnel's.
std::vector<std::string> rpc_servers(const LaunchContext& context);

// Of the server that is the member `context.member`.
Result<model::LaunchPlan> rpc_launch(const LaunchContext& context);

}  // namespace berth::backends::llama_box
