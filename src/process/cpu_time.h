// Processor time of a process and its descendants. Reads /proc (milliseconds); thread-safe.
#pragma once

#include "base/clock.h"
#include "base/result.h"

#include <sys/types.h>

namespace berth::process {

// What `root` and all its descendants that live now have used since they started, in user and
// system mode. It falls when a descendant ends. Fails with not_found if there is no such process.
Result<Duration> cpu_time_of_tree(pid_t root);

}  // namespace berth::process
