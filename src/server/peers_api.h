// Workers as each other's mirrors: who has files that a worker needs, and who may read them
// (cluster/protocol.h). The files themselves go from worker to worker; only those of the worker on
// the server's own machine, which others can not reach, go through the server.
#pragma once

#include "net/router.h"
#include "server/context.h"

namespace berth::server {

void add_peer_routes(net::Router& router, ServerContext& context);

}  // namespace berth::server
