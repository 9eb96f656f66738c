// Which devices of a machine a program of llama.cpp sees.
#pragma once

#include "backends/backend.h"

#include <span>
#include <vector>

namespace berth::backends::llama_box {

// Makes those of `claims` visible, in their order, and no other ones of their kinds.
std::vector<model::EnvironmentVariable> device_variables(
    const model::Worker& worker, std::span<const model::DeviceClaim> claims);

}  // namespace berth::backends::llama_box
