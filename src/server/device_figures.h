// The figures of the workers' devices, for monitoring.
#pragma once

#include "server/worker_registry.h"

#include <string>

namespace berth::server {

// In Prometheus' text format: of each device its memory, what is used of it by anyone and by our
// engines, and its utilisation, temperature and power where they are known. Thread-safe.
std::string device_figures(const WorkerRegistry& workers);

}  // namespace berth::server
