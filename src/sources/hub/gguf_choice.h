// Which of a repository's GGUF models is taken. Internal to sources/hub; see choose_files.
#pragma once

#include "sources/hub/choice.h"

namespace berth::sources {

// Whether there is a GGUF file that is no projector.
bool has_gguf(const HubListing& listing);

// Fills `choice`, which has the name and the commit already.
Result<HubChoice> choose_gguf(const HubListing& listing, HubChoice choice);

}  // namespace berth::sources
