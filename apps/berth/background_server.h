// A server that goes on after the command that needed it: starting and ending it.
#pragma once

#include "base/data_folder.h"
#include "base/result.h"
#include "server/first_contact.h"

namespace berth::app {

// Starts `berth serve` on the folder, detached, with its output in logs/server.log, and waits until
// it answers. Says so, and how to end it, on standard error. Where the usual port is taken by
// another program and none was asked for, it takes a free one. A server that another command starts
// meanwhile is as good. Fails with unavailable and the last lines of the log.
Result<server::ServerInfo> start_background_server(const DataFolder& data);

// Asks the folder's server to end, and waits. Fails with not_found where none runs, conflict where
// the process that server.json names is not Berth, timeout.
Result<server::ServerInfo> stop_server(const DataFolder& data);

// Makes the folder's server read the admin's key again, and waits until it accepts `key`; false
// where none runs. Fails with timeout.
Result<bool> reload_server_keys(const DataFolder& data, const std::string& key);

}  // namespace berth::app
