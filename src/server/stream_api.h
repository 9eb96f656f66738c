// The routes that stream: the watch, and logs of instances.
#pragma once

#include "net/router.h"
#include "server/context.h"

namespace berth::server {

void add_stream_routes(net::Router& router, ServerContext& context);

}  // namespace berth::server
