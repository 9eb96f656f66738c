#include "sources/hub/profile.h"

#include "formats/profile.h"
#include "sources/hub/file_set.h"

namespace berth::sources {
namespace {

// The last part of "org/name".
std::string_view own_name(const HubName& name) {
  return std::string_view(name.repository).substr(name.repository.rfind('/') + 1);
}

}  // namespace

Result<HubModel> profile_hub(const HubName& name, const HubSettings& patient) {
  const HubSettings settings = with_end(patient);
  BERTH_TRY(const auto listing, list_repository(name, settings));
  BERTH_TRY(auto choice, choose_files(listing));
  auto paths = choice.files;
  paths.insert(paths.end(), choice.projectors.begin(), choice.projectors.end());
  BERTH_TRY(const auto files, open_repository(listing, paths, settings));
  BERTH_TRY(auto profile, formats::profile_files(*files));
  // People tell models of one name by who made them.
  if (profile.name == own_name(name) && name.hub != Hub::ollama) profile.name = name.repository;
  if (name.hub == Hub::ollama && profile.name == "model") profile.name = own_name(name);
  return HubModel{.choice = std::move(choice), .profile = std::move(profile)};
}

}  // namespace berth::sources
