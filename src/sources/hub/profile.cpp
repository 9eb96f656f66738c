#include "sources/hub/profile.h"

#include "formats/profile.h"
#include "sources/hub/file_set.h"
#include "sources/hub/files.h"

#include <map>

namespace berth::sources {
namespace {

// The last part of "org/name".
std::string_view own_name(const HubName& name) {
  return std::string_view(name.repository).substr(name.repository.rfind('/') + 1);
}

// The profile of these files, with their paths in the set instead of where they are.
model::ModelProfile with_paths(model::ModelProfile profile, const formats::FileSet& files) {
  std::map<std::string, std::string> paths;
  for (const auto& file : files.files()) paths.emplace(files.locate(file.path), file.path);
  return model::renamed(std::move(profile), [&](const std::string& place) {
    const auto path = paths.find(place);
    return path == paths.end() ? place : path->second;
  });
}

}  // namespace

Result<HubModel> profile_listed(const HubListing& listing, const OpenListed& open) {
  const HubName& name = listing.name;
  BERTH_TRY(auto choice, choose_files(listing));
  auto paths = choice.files;
  paths.insert(paths.end(), choice.projectors.begin(), choice.projectors.end());
  BERTH_TRY(const auto files, open(paths));
  BERTH_TRY(auto found, formats::profile_files(*files));
  auto profile = with_paths(std::move(found), *files);
  // People tell models of one name by who made them.
  if (profile.name == own_name(name) && name.hub != Hub::ollama) profile.name = name.repository;
  if (name.hub == Hub::ollama && profile.name == "model") profile.name = own_name(name);
  BERTH_TRY(auto chosen, files_of(listing, paths));
  return HubModel{
      .choice = std::move(choice), .files = std::move(chosen), .profile = std::move(profile)};
}

Result<HubModel> profile_hub(const HubName& name, const HubSettings& patient) {
  const HubSettings settings = with_end(patient);
  BERTH_TRY(const auto listing, list_repository(name, settings));
  return profile_listed(listing, [&](const std::vector<std::string>& paths) {
    return open_repository(listing, paths, settings);
  });
}

}  // namespace berth::sources
