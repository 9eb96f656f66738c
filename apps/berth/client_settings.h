// Where the server is that a command talks to, and with which key.
#pragma once

#include "base/data_folder.h"
#include "base/result.h"
#include "command.h"
#include "net/url.h"
#include "server/first_contact.h"

#include <optional>
#include <string>

namespace berth::app {

struct ClientSettings {
  std::string url;  // "http://127.0.0.1:8080"
  net::Endpoint server;
  std::string api_key;
  std::string key_source;     // for messages: "BERTH_API_KEY"
  bool same_machine = false;  // so that paths mean the same here and there
};

// The server: --server, BERTH_SERVER, ~/.config/berth/client.yaml (unless --data names a folder),
// then the one that runs on the data folder. The key: --api-key, BERTH_API_KEY, the one beside the
// server in client.yaml, then the folder's admin.key; a key of a file goes to the server of that
// file only. Warns on standard error where a key would cross a network unprotected.
// Fails with unavailable where no server runs, invalid_parameter for a bad setting.
Result<ClientSettings> find_client_settings(const CommonOptions& common);

// Whether the user named a server, so that none has to be started here.
Result<bool> names_a_server(const CommonOptions& common);

// The live server of a data folder; nothing where there is none, or only the file of a dead one.
std::optional<server::ServerInfo> find_running_server(const DataFolder& data);

[[nodiscard]] bool is_loopback(std::string_view host);

}  // namespace berth::app
