// /api/v1/files: the files of hubs on the workers.
#pragma once

#include "net/router.h"
#include "server/context.h"

namespace berth::server {

void add_files_routes(net::Router& router, ServerContext& context);

}  // namespace berth::server
