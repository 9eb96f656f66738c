// From what a hub lists to the files that a machine needs, and from these to their addresses.
#pragma once

#include "sources/hub/listing.h"
#include "sources/hub/settings.h"

namespace berth::sources {

// These files of the listing, as a value that names no server: each machine may ask its own. Pure.
// Fails with not_found (field "source") where the listing has no such path.
Result<model::RepositoryFiles> files_of(const HubListing& listing,
                                        const std::vector<std::string>& paths);

// Where this machine reads one of `files` at the hub: at the commit where the hub can say so, else
// at the revision. Pure. The path is one of is_repository_path.
std::string url_of(const model::RepositoryFiles& files, const model::RepositoryFile& file,
                   const HubSettings& settings);

// The name without a quantisation or a file: what `http_options_for` and messages need.
HubName hub_name_of(const model::RepositoryFiles& files);

}  // namespace berth::sources
