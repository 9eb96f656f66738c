// The routes of models and instances.
#pragma once

#include "net/router.h"
#include "server/context.h"

namespace berth::server {

void add_model_routes(net::Router& router, ServerContext& context);

}  // namespace berth::server
