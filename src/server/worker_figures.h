// Figures of the workers' states, for /metrics.
#pragma once

#include "server/control_loop.h"

#include <string>

namespace berth::server {

// In Prometheus' text format. Thread-safe.
std::string worker_figures(const ControlLoop& control);

}  // namespace berth::server
