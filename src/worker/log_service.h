// The worker's own listener: logs of its instances and of itself, for the server.
#pragma once

#include "base/data_folder.h"
#include "net/router.h"
#include "net/thread_pool.h"

#include <string>

namespace berth::worker {

// What the routes need; outlives the server that they were added to.
struct LogService {
  DataFolder data;
  net::ThreadPool& pool;
  std::string access_key;
};

// GET /worker/v1/instances/{name}/logs?tail=N&follow=true&attempt=N&previous=true&since=10m,
// GET /worker/v1/logs?tail=N&follow=true&since=10m, and GET /health.
void add_log_routes(net::Router& router, LogService& service);

}  // namespace berth::worker
