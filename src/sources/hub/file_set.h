// The files of a repository as a formats::FileSet, read by ranges: what profiles a folder profiles
// it as well, from headers alone.
#pragma once

#include "formats/file_set.h"
#include "sources/hub/client.h"

#include <memory>
#include <string>
#include <vector>

namespace berth::sources {

// The files at `paths`, all of which the listing must have (not_found else). `locate` gives
// addresses. Opening fetches the first block of a file, which must be of the size that was listed
// (corrupt else); further errors as open_url. Thread-safe. All reads together end by
// `settings.http.end`.
Result<std::unique_ptr<formats::FileSet>> open_repository(const HubListing& listing,
                                                          const std::vector<std::string>& paths,
                                                          const HubSettings& settings);

}  // namespace berth::sources
