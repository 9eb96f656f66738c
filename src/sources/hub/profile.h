// profile_hub: what a model on a hub is, from headers alone; nothing is downloaded.
#pragma once

#include "formats/file_set.h"
#include "model/profile.h"
#include "model/repository_files.h"
#include "sources/hub/choice.h"
#include "sources/hub/settings.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace berth::sources {

struct HubModel {
  HubChoice choice;
  // What was chosen, with all projectors that may go with it.
  model::RepositoryFiles files;
  model::ModelProfile profile;  // with the files' paths in the repository
};

// Opens these files of a listing, by their paths.
using OpenListed =
    std::function<Result<std::unique_ptr<formats::FileSet>>(const std::vector<std::string>&)>;

// Chooses the files and reads their headers. Errors: as choose_files, `open` and
// formats::profile_files.
Result<HubModel> profile_listed(const HubListing& listing, const OpenListed& open);

// Lists the repository, chooses the files and reads their headers. Blocking; thread-safe. All of
// it ends by `settings.http.total`.
//
// Errors: as list_repository, choose_files, open_repository and formats::profile_files.
Result<HubModel> profile_hub(const HubName& name, const HubSettings& settings);

}  // namespace berth::sources
