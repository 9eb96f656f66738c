// The agent: what `berth worker` runs. Joins the server, keeps to its assignments, reports.
#pragma once

#include "base/bytes.h"
#include "base/data_folder.h"
#include "base/result.h"
#include "net/url.h"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace berth::worker {

struct AgentOptions {
  DataFolder data;
  bool local = true;           // of the server on this machine, found by server.json
  bool leave_engines = false;  // engines go on when the agent ends
  std::string name;            // empty: the one of an earlier run, else the host's
  std::string server;          // where not local: as MembershipOptions
  std::string token;
  net::Endpoint listen{"127.0.0.1", 0};  // for the server; port 0: any
  std::string advertise;  // "host" or "host:port" that the server is told; empty: found out
  std::string version;
  std::filesystem::path shim_program;         // berth-shim as it was installed
  std::filesystem::path program;              // berth, for its proxy
  std::optional<Bytes> download_limit;        // a second, of all downloads together
  std::uint32_t kept_logs = 10;               // of each instance, one an attempt
  std::vector<std::string> allowed_env = {};  // guarded variables that engines may be given
  std::vector<Bytes> rpc_devices = {};        // memory of each device of kind rpc
};

// Runs until SIGINT, SIGTERM or SIGHUP (which leaves the engines running), all of which must be
// blocked in every thread. Blocks. Fails with conflict where another agent has the data folder.
Result<void> run_agent(const AgentOptions& options);

}  // namespace berth::worker
