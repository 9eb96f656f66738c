// The clients of the gateway's benchmark, on one thread.
#pragma once

#include "base/clock.h"
#include "base/json.h"
#include "net/url.h"

#include <cstddef>
#include <string>

namespace berth::bench {

struct Load {
  net::Endpoint server;
  std::string key;
  std::size_t connections = 64;
  std::size_t body_bytes = 1024;  // of each request
  Duration duration{};            // of plain requests
  bool stream = false;            // one stream a connection, instead
  std::size_t events = 100;       // of each stream
  std::size_t pace_ms = 50;
  Duration ramp{};  // over which the streams begin
};

// Carries it out, and counts: requests, failures, events, seconds, first_p50_ms, first_p99_ms (from
// sending the request to the first piece of its answer). Blocks.
json::object run_load(const Load& load);

}  // namespace berth::bench
