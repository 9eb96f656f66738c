// The tables of llama-server's flags (llama.cpp b11434 to b11549), by subject. Part of the
// descriptor; see descriptor.cpp.
#pragma once

#include "backends/backend.h"

namespace berth::backends::llama_box {

std::vector<Parameter> compute_flags();   // context, threads, memory, devices, model files
std::vector<Parameter> sampling_flags();  // defaults of requests
std::vector<Parameter> server_flags();    // HTTP, slots, chat, media, logs
std::vector<Parameter> draft_flags();     // speculative decoding

}  // namespace berth::backends::llama_box
