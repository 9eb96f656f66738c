// How often the kernel killed a process of this machine for want of memory. Thread-safe.
#pragma once

#include <cstdint>
#include <optional>

namespace berth::process {

// Since the machine started, those of control groups' own limits included. Nothing where the kernel
// does not tell. `statistics` stands in for /proc/vmstat.
std::optional<std::uint64_t> memory_kills(const char* statistics = "/proc/vmstat");

}  // namespace berth::process
