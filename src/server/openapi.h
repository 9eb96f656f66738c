// The OpenAPI document, made of what the routes say of themselves where they are added; and the
// schemas of files.
#pragma once

#include "net/router.h"
#include "server/context.h"

#include <string_view>
#include <vector>

namespace berth::server {

// OpenAPI 3.1 of every documented route. Pure.
json::object openapi_document(const std::vector<net::Router::Route>& routes,
                              std::string_view version);

// Adds /api/v1/openapi.json and /api/v1/schemas/…. Call it last: the document tells of the routes
// that `router` has by then. A route under /api or /v1 without a description throws
// std::logic_error: it is a bug.
void add_openapi_routes(net::Router& router, ServerContext& context);

}  // namespace berth::server
