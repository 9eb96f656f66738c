// POST /api/v1/plan: where a deployment's next instance would go now, or why nowhere. Stores
// nothing.
#pragma once

#include "net/router.h"
#include "server/context.h"

namespace berth::server {

void add_plan_routes(net::Router& router, ServerContext& context);

}  // namespace berth::server
