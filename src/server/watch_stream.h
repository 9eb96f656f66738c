// The watch over HTTP: one stream of server-sent events for changes of documents.
//
//   put, delete   id: the revision; data: {"kind","name","revision","object"}
//   bookmark      id: everything up to here has been told; every 15 s
//
// A revision that is no longer kept answers 410 with code "revision_compacted": list again.
#pragma once

#include "net/exchange.h"
#include "server/context.h"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace berth::server {

struct WatchStream {
  std::vector<std::string> kinds;
  store::Revision since = 0;
  // How a document looks to this watcher; nullopt leaves the change out.
  std::function<std::optional<json::object>(const store::Change&)> show;
};

// The kinds and the revision that a request asks for (`kinds`, `since`, or Last-Event-ID). Fails
// with invalid_parameter; kinds that are not in `allowed` are refused by name.
Result<WatchStream> read_watch_request(const net::Request& request,
                                       const std::vector<std::string>& allowed);

// Serves the stream until the client leaves or the server stops.
net::Task<> serve_watch(ServerContext& context, net::Exchange& exchange, WatchStream stream);

}  // namespace berth::server
