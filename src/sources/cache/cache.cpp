#include "sources/cache/cache.h"

#include "base/clock.h"
#include "sources/cache/plain_folder.h"
#include "sources/hub/files.h"
#include "sources/hub/request.h"

#include <algorithm>

namespace berth::sources {

namespace fs = std::filesystem;

namespace {

bool is_good(const model::FileDigest& digest) {
  switch (digest.kind) {
    case DigestKind::none:
      return digest.hex.empty();
    case DigestKind::sha256:
      return is_sha256(digest.hex);
    case DigestKind::git_blob:
      return is_commit(digest.hex);
  }
  return false;
}

bool is_good_commit(const model::RepositoryFiles& files) {
  switch (files.hub) {
    case Hub::hugging_face:
      return is_commit(files.commit);
    case Hub::model_scope:
      return files.commit.empty() || is_commit(files.commit);
    case Hub::ollama:
      return files.commit.empty() || is_sha256(files.commit);
  }
  return false;
}

bool is_good_name(const model::RepositoryFiles& files) {
  const HubName name = hub_name_of(files);
  const auto parsed = parse_hub_name(to_text(name));
  return parsed && *parsed == name;
}

}  // namespace

std::unique_ptr<CacheLayout> layout_of(Hub hub, const CachePlaces& places) {
  switch (hub) {
    case Hub::model_scope:
      return model_scope_layout(places);
    case Hub::ollama:
      return ollama_layout(places);
    case Hub::hugging_face:
      break;
  }
  return hugging_face_layout(places);
}

Result<void> check_files(const model::RepositoryFiles& files) {
  const std::string source = sources::quoted(files.source);
  if (!is_good_name(files) || !is_good_commit(files)) {
    return fail(about_source(ErrorCode::invalid_parameter,
                             "{}: there is no repository \"{}\" with the revision \"{}\" and the "
                             "commit \"{}\"",
                             source, sources::quoted(files.repository),
                             sources::quoted(files.revision), sources::quoted(files.commit)));
  }
  const std::string* before = nullptr;
  for (const auto& file : files.files) {
    if (!is_repository_path(file.path)) {
      return fail(about_source(ErrorCode::corrupt,
                               "{}: the file \"{}\" would lie outside of the cache; nothing is "
                               "fetched",
                               source, sources::quoted(file.path)));
    }
    if (before != nullptr && *before >= file.path) {
      return fail(about_source(ErrorCode::invalid_parameter,
                               "{}: the files are not sorted by path, each once", source));
    }
    if (!is_good(file.digest)) {
      return fail(about_source(ErrorCode::invalid_parameter, "{}: the digest of {} is none", source,
                               sources::quoted(file.path)));
    }
    before = &file.path;
  }
  if (files.files.empty()) {
    return fail(about_source(ErrorCode::invalid_parameter, "{}: it names no files", source));
  }
  return {};
}

Result<std::vector<FileLock>> lock_all(const std::vector<fs::path>& locks) {
  std::vector<FileLock> held;
  held.reserve(locks.size());
  for (const auto& path : locks) {
    make_shared_lock(path);
    auto lock = FileLock::try_acquire(path);
    if (!lock && lock.error().code == ErrorCode::conflict) {
      return fail(ErrorCode::conflict,
                  "somebody is downloading one of these files ({} is locked); try again later",
                  path.string());
    }
    if (!lock) return fail(std::move(lock).error());
    held.push_back(*std::move(lock));
  }
  return held;
}

fs::file_time_type changed_at(const fs::path& path) {
  std::error_code error;
  const auto time = fs::last_write_time(path, error);
  return error ? fs::file_time_type::min() : time;
}

std::string to_rfc3339(fs::file_time_type time) {
  return berth::to_rfc3339(
      std::chrono::time_point_cast<SystemTime::duration>(std::chrono::file_clock::to_sys(time)));
}

Result<std::optional<LocalFiles>> find_cached(const model::RepositoryFiles& files,
                                              const CachePlaces& places) {
  BERTH_CHECK(check_files(files));
  if (auto found = layout_of(files.hub, places)->find(files)) return found;
  const KnownDigests known(places.known_digests);
  for (const auto& folder : other_folders(files.hub, files.repository, places)) {
    if (auto found = find_in_folder(folder, files, known)) return found;
  }
  return std::nullopt;
}

Result<Bytes> remove_cached(const model::RepositoryFiles& files, const CachePlaces& places) {
  BERTH_CHECK(check_files(files));
  return layout_of(files.hub, places)->remove(files);
}

Result<HubListing> list_cached(const HubName& name, const CachePlaces& places) {
  if (auto listing = layout_of(name.hub, places)->list(name)) return *std::move(listing);
  for (const auto& folder : other_folders(name.hub, name.repository, places)) {
    const std::string commit = commit_of_folder(folder);
    // Which branch or tag it was is not written down there.
    if (!name.revision.empty() && name.revision != commit) continue;
    HubListing listing{.name = name, .commit = commit, .files = {}};
    for (auto& file : files_of_folder(folder)) {
      listing.files.push_back(
          {.path = std::move(file.path), .size = file.size, .digest = std::move(file.digest)});
    }
    if (!listing.files.empty()) return listing;
  }
  return fail(
      about_source(ErrorCode::not_found, "{}: no files of it are on this machine", to_text(name)));
}

std::vector<CachedRepository> list_caches(const CachePlaces& places) {
  std::vector<CachedRepository> all;
  for (const Hub hub : {Hub::hugging_face, Hub::model_scope, Hub::ollama}) {
    layout_of(hub, places)->add_repositories(all);
  }
  add_other_repositories(places, all);
  return all;
}

}  // namespace berth::sources
