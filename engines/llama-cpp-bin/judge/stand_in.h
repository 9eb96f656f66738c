// Devices that are not there: they answer what llama.cpp asks about sizes and abilities, and
// compute nothing. With them the engine lays out a model for the devices of another machine.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace berth_judge {

// How the buffers of a device are laid out, and what it can do.
enum class StandInKind {
  cuda,  // ggml-cuda, also in its ROCm and MUSA builds: ggml-cuda.cu, b11434
  rpc,   // a CUDA device of another machine: ggml-rpc.cpp
};

struct StandIn {
  std::string name;  // as the engine lists it: "cuda:0"
  StandInKind kind = StandInKind::cuda;
  std::size_t memory = 0;  // bytes
};

// Makes them known to ggml, in this order, until the process ends. Call it once, before a model is
// loaded with no_alloc.
void register_stand_ins(const std::vector<StandIn>& stand_ins);

}  // namespace berth_judge
