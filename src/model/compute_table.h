// ComputeTable: what an engine, asked without allocating, says of its compute buffers for one model
// with one set of flags.
#pragma once

#include "base/describe.h"

#include <cstdint>
#include <string>
#include <vector>

namespace berth::model {

// Whose buffer a figure is: a device or the host, by how much of the model the devices have.
enum class ComputeRole {
  cpu_alone,            // the host, with no device
  device_whole,         // the one device that has all layers
  host_whole,           // the host beside it
  device_partly,        // a device that has some layers, the rest on the host
  host_partly,          // the host beside it
  device_of_many,       // the largest of several devices that have all layers
  host_of_many,         // the host beside them
  projector_on_cpu,     // weights and buffers of the projector
  projector_on_device,  // the same, on the first device
};
BOOST_DESCRIBE_ENUM(ComputeRole, cpu_alone, device_whole, host_whole, device_partly, host_partly,
                    device_of_many, host_of_many, projector_on_cpu, projector_on_device)

struct ComputeFigure {
  ComputeRole role = ComputeRole::cpu_alone;
  std::uint32_t context = 0;  // tokens of one slot
  std::uint32_t slots = 1;
  Bytes size;
  Bytes weights;  // that lie there too, where flags move tensors about
};
BOOST_DESCRIBE_STRUCT(ComputeFigure, (), (role, context, slots, size, weights))

struct ComputeTable {
  std::string build;  // of the engine that measured: "b11434"; empty: nothing was measured
  std::vector<ComputeFigure> figures;
};
BOOST_DESCRIBE_STRUCT(ComputeTable, (), (build, figures))

}  // namespace berth::model
