// The routes of workers: joining, assignments, reports (see cluster/protocol.h).
#pragma once

#include "net/router.h"
#include "server/context.h"

namespace berth::server {

// What workers report also lets models be judged that could not be when they were deployed: call
// this before the control loop is started.
void add_cluster_routes(net::Router& router, ServerContext& context);

}  // namespace berth::server
