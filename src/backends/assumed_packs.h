// Engine packs that a worker is taken to have where a described cluster does not say. Pure.
#pragma once

#include "model/engine_pack.h"

#include <vector>

namespace berth::backends {

// One for each backend of this program, named "assumed-BACKEND", for every kind of device that its
// engine can be built for.
std::vector<model::EnginePack> assumed_packs();

}  // namespace berth::backends
