// The routes of workers, engines, keys, events and the server itself.
#pragma once

#include "net/router.h"
#include "server/context.h"

namespace berth::server {

void add_admin_routes(net::Router& router, ServerContext& context);

}  // namespace berth::server
