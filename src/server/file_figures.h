// The figures of the files on the workers, for monitoring.
#pragma once

#include "server/worker_registry.h"

#include <string>

namespace berth::server {

// In Prometheus' text format: of each model's files on each worker their size, what is there, and
// what comes in a second. Thread-safe.
std::string file_figures(const WorkerRegistry& workers);

}  // namespace berth::server
