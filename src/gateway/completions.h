// The way of one request: from the client through the router to an engine, and back as bytes come.
#pragma once

#include "gateway/engine_call.h"

#include <string>

namespace berth::gateway {

// Passes a request on to `path` of an engine, such as "/v1/chat/completions".
net::Task<> relay_completion(GatewayContext& context, net::Exchange& exchange, std::string path,
                             std::string route);

}  // namespace berth::gateway
