// What a model on a hub is, told from the files of it that are on this machine.
#pragma once

#include "sources/cache/places.h"
#include "sources/hub/profile.h"

namespace berth::sources {

// For when the hub can not be asked: of what is here at the name's revision the files are chosen as
// they would be there. Reads headers; thread-safe. Errors: as list_cached, choose_files and
// formats::profile_files.
Result<HubModel> profile_cached(const HubName& name, const CachePlaces& places);

}  // namespace berth::sources
