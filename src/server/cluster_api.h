// The routes of workers: joining, assignments, reports (see cluster/protocol.h).
#pragma once

#include "net/router.h"
#include "server/context.h"

namespace berth::server {

void add_cluster_routes(net::Router& router, ServerContext& context);

}  // namespace berth::server
