#include "sources/hub/files.h"

#include "sources/hub/request.h"

#include <algorithm>

namespace berth::sources {

Result<model::RepositoryFiles> files_of(const HubListing& listing,
                                        const std::vector<std::string>& paths) {
  model::RepositoryFiles files{.source = to_text(listing.name),
                               .hub = listing.name.hub,
                               .repository = listing.name.repository,
                               .revision = listing.name.revision,
                               .commit = listing.commit,
                               .files = {}};
  files.files.reserve(paths.size());
  for (const auto& path : paths) {
    const HubFile* file = listing.find(path);
    if (file == nullptr) {
      return fail(about_source(ErrorCode::not_found, "{}: the repository has no file \"{}\"",
                               files.source, sources::quoted(path)));
    }
    files.files.push_back({.path = file->path, .size = file->size, .digest = file->digest});
  }
  std::ranges::sort(files.files, {}, &model::RepositoryFile::path);
  const auto twice = std::ranges::unique(files.files, {}, &model::RepositoryFile::path);
  files.files.erase(twice.begin(), twice.end());
  return files;
}

std::string url_of(const model::RepositoryFiles& files, const model::RepositoryFile& file,
                   const HubSettings& settings) {
  const HubName name = hub_name_of(files);
  switch (files.hub) {
    case Hub::model_scope:
      return model_scope_url(name, settings, file.path);
    case Hub::ollama:
      return ollama_url(name, settings, file.digest);
    case Hub::hugging_face:
      break;
  }
  return hugging_face_url(name, settings, files.commit, file.path);
}

HubName hub_name_of(const model::RepositoryFiles& files) {
  HubName name;
  name.hub = files.hub;
  name.repository = files.repository;
  name.revision = files.revision;
  return name;
}

}  // namespace berth::sources
