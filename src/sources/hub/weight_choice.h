// Which files of a repository a model in Hugging Face's layout needs. Internal to sources/hub; see
// choose_files.
#pragma once

#include "sources/hub/listing.h"

#include <vector>

namespace berth::sources {

// Whether there is such a model: config.json or model_index.json, and weights.
bool has_layout(const HubListing& listing);

// Pointers into the listing, in its order.
std::vector<const HubFile*> needed_of_layout(const HubListing& listing);

}  // namespace berth::sources
