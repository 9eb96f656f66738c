// POST /api/v1/evaluate: what a model is, read by a worker that has its files, or
// by the server where it is at a web address.
#pragma once

#include "net/router.h"
#include "server/context.h"

namespace berth::server {

void add_inspect_routes(net::Router& router, ServerContext& context);

}  // namespace berth::server
