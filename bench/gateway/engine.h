// The engine of the gateway's benchmark: answers at once, or streams at a pace.
#pragma once

#include "net/router.h"

namespace berth::bench {

// POST /v1/completions. The body's members say what comes: "stream", "events" (how many), "pace_ms"
// (between them), "answer_bytes" (of an answer in one piece).
net::Router engine_router();

}  // namespace berth::bench
