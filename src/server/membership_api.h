// Joining the cluster: the routes of machines that join and of workers that renew, and those of the
// admin for tokens and workers.
#pragma once

#include "net/router.h"
#include "server/context.h"

namespace berth::server {

// POST /cluster/v1/join, /cluster/v1/renew.
void add_joining_routes(net::Router& router, ServerContext& context);

// /api/v1/tokens, and DELETE /api/v1/workers/{name}.
void add_membership_routes(net::Router& router, ServerContext& context);

}  // namespace berth::server
