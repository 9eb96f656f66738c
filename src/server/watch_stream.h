// The watch over HTTP: one stream of server-sent events for changes of documents.
//
//   put, delete   id: the revision; data: {"kind","name","revision","object"}; a delete carries the
//                 last object
//   bookmark      id: everything up to here has been told; data: {"revision"}. Comes when nothing
//                 else did for 15 s, so that a quiet watcher is not left behind by other kinds
//
// A revision that is no longer kept, or that this store has not reached (it was restored), answers
// 410 with code "revision_compacted": list again.
//
// Changes are fetched as the client takes them, so a watcher holds little memory. One that takes
// nothing for 5 s while more than 1 MiB waits for it is cut; it resumes from the last id it saw.
#pragma once

#include "net/exchange.h"
#include "server/context.h"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace berth::server {

struct WatchRules {
  RouteAccess access = RouteAccess::admin;
  std::vector<std::string> kinds;  // that may be watched here; all of them unless `kinds` chooses
  // Only documents whose text member `field` is `value`, where it is named: others do not even wake
  // the stream.
  std::string field = {};
  std::string value = {};
  // How a document looks to this watcher; nullopt leaves the change out.
  std::function<std::optional<json::object>(const store::Change&)> show;
};

// Answers a request for a watch (`kinds`, `since` or Last-Event-ID): with the stream, until the
// client leaves or the server stops, or with why there is none.
net::Task<> serve_watch(ServerContext& context, net::Exchange& exchange, WatchRules rules);

}  // namespace berth::server
