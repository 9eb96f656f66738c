// Observation: what instances of a model really took, for the next one.
#pragma once

#include "base/describe.h"
#include "model/placement.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace berth::model {

inline constexpr std::string_view kObservationKind = "observation";

// One way to run it that was seen.
struct ObservedLayout {
  std::string build;  // of the engine: "b11434"
  Serving serving;
  std::uint32_t layers_on_devices = 0;
  Bytes host;      // the most that the engine's processes held of the machine's memory
  std::string at;  // when it was last raised, RFC 3339
};
BOOST_DESCRIBE_STRUCT(ObservedLayout, (), (build, serving, layers_on_devices, host, at))

// A document of kind "observation", one for a model's files with its backend and flags.
struct Observation {
  std::string model;                    // the deployment that was seen last
  std::vector<ObservedLayout> layouts;  // the newest last
};
BOOST_DESCRIBE_STRUCT(Observation, (), (model, layouts))

}  // namespace berth::model
