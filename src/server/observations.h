// Keeping what instances really took. Pure.
#pragma once

#include "cluster/protocol.h"
#include "model/instance.h"
#include "model/observation.h"
#include "model/worker.h"

#include <map>
#include <string>
#include <vector>

namespace berth::server {

// The document's name: by files (path and size), backend and flags, so that a model that is
// deployed anew finds what was seen of it.
std::string observation_name(const model::Model& model);

// A ready instance, and what its worker says that it holds.
struct Sighting {
  const model::Model& model;
  const model::Instance& instance;
  std::string build;  // of its pack
  Bytes resident;
};

inline constexpr std::size_t kMostLayouts = 32;         // of one observation; the oldest goes
inline constexpr std::size_t kMostObservations = 1000;  // documents; the oldest goes

// Adds it. False where it says nothing new: no more than 1 % above what is known.
bool note_sighting(const Sighting& sighting, const std::string& now, model::Observation& known);

}  // namespace berth::server
