// First contact: the admin's key, and the file by which commands on this
// machine find the server.
#pragma once

#include "base/data_folder.h"
#include "base/describe.h"
#include "base/result.h"
#include "store/store.h"

#include <cstdint>
#include <optional>
#include <string>

namespace berth::server {

// The content of server.json.
struct ServerInfo {
  int pid = 0;
  std::uint64_t start_time = 0;  // of the process, in clock ticks since boot
  std::string url;               // of the API: "http://127.0.0.1:8080"
  std::string cluster_url;       // of the cluster listener
  std::string version;
  std::string started_at;
};
BOOST_DESCRIBE_STRUCT(ServerInfo, (), (pid, start_time, url, cluster_url, version, started_at))

// Adds the `start_time` of `info.pid`.
Result<void> write_server_info(const DataFolder& data, ServerInfo info);
// Fails with not_found where no server has written it.
Result<ServerInfo> read_server_info(const DataFolder& data);

// The server of this folder, if the process that wrote server.json still runs: a file that a killed
// server left names none, even where its process id belongs to somebody else by now.
std::optional<ServerInfo> find_running_server(const DataFolder& data);
// What to tell a second server whose lock failed: who the first one is, as far as it is known.
Error explain_taken(Error error, const DataFolder& data);

// The admin's key of this folder, made if it is not there, and in force in `store` afterwards.
struct AdminKey {
  std::string key;
  bool created = false;  // show it to the person, now and never again
};
Result<AdminKey> ensure_admin_key(const DataFolder& data, store::Store& store);

// Writes a new key into the folder and returns it. It is in force once a server has read the folder
// again (`ensure_admin_key`): at its start, and on SIGHUP.
Result<std::string> reset_admin_key(const DataFolder& data);

// Writes down the token by which the local worker joins.
Result<void> write_local_token(const DataFolder& data, const std::string& token);

}  // namespace berth::server
