// What a process and its descendants have in memory, from counters the kernel keeps anyway
// (/proc/PID/status; no walk over page tables, so cheap for an engine of any size). Thread-safe.
#pragma once

#include "base/bytes.h"
#include "base/result.h"

#include <sys/types.h>
#include <vector>

namespace berth::process {

struct MemoryUsage {
  Bytes anonymous;  // its own pages
  Bytes file;       // mapped files: a model read by mmap, program text
  Bytes shared;     // shared memory
  [[nodiscard]] Bytes resident() const { return anonymous + file + shared; }
};

// Fails with not_found if there is no such process.
Result<MemoryUsage> memory_usage(pid_t pid);
// `root` and all its descendants. Anonymous pages are added up; of mapped files and shared memory
// the largest figure counts, since the processes of one engine map the same ones.
Result<MemoryUsage> memory_usage_of_tree(pid_t root);

// `root` and all its descendants that are there now, `root` first.
std::vector<pid_t> pids_of_tree(pid_t root);

// Resident set size of one process.
Result<Bytes> resident_bytes(pid_t pid);

}  // namespace berth::process
