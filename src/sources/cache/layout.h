// CacheLayout: how the files of a hub lie in the cache of its own tools. Internal to sources/cache.
#pragma once

#include "base/files.h"
#include "sources/cache/cache.h"
#include "sources/cache/content_check.h"
#include "sources/cache/safe_folder.h"

#include <memory>

namespace berth::sources {

// Where one file is, or is to be.
struct CacheSlot {
  std::filesystem::path path;      // where the model's process finds it
  std::filesystem::path download;  // what its content is downloaded to
  std::filesystem::path lock;      // of that
  bool is_there = false;           // at `path`, whole
  bool has_content = false;        // at `download`, whole
};

// A folder with files under their names in the repository, and nothing that tells whose they are.
struct PlainFolder {
  SafeFolder place;
  std::filesystem::path folder;
};

// What all of a layout's functions do is said in cache.h. Their `files` have passed `check_files`.
// Thread-safe.
class CacheLayout {
 public:
  CacheLayout() = default;
  CacheLayout(const CacheLayout&) = delete;
  CacheLayout& operator=(const CacheLayout&) = delete;
  virtual ~CacheLayout() = default;

  [[nodiscard]] virtual std::optional<LocalFiles> find(
      const model::RepositoryFiles& files) const = 0;
  // Folders in which these files may be, and where only reading them can tell.
  [[nodiscard]] virtual std::vector<PlainFolder> plain_folders(
      const model::RepositoryFiles& files) const = 0;

  // Makes the folders, and gives the slots in the order of the files.
  virtual Result<std::vector<CacheSlot>> prepare(const model::RepositoryFiles& files,
                                                 ContentCheck& check) const = 0;
  // Puts what is at `slot.download` where it is found. `was_there`: somebody else put it there
  // while this one waited. Thread-safe.
  virtual Result<void> place(const model::RepositoryFile& file, const CacheSlot& slot,
                             bool was_there, std::stop_token stop) const = 0;
  // When all are in their places: what else the hub's tools look at. `has_fetched`: some came now.
  virtual Result<void> finish(const model::RepositoryFiles& files, const HubSettings& settings,
                              const DownloadOptions& options, bool has_fetched) const = 0;

  virtual Result<Bytes> remove(const model::RepositoryFiles& files) const = 0;
  // Nothing where the cache does not know the repository at that revision.
  [[nodiscard]] virtual std::optional<HubListing> list(const HubName& name) const = 0;
  virtual void add_repositories(std::vector<CachedRepository>& to) const = 0;
};

std::unique_ptr<CacheLayout> hugging_face_layout(const CachePlaces& places);
std::unique_ptr<CacheLayout> model_scope_layout(const CachePlaces& places);
std::unique_ptr<CacheLayout> ollama_layout(const CachePlaces& places);
std::unique_ptr<CacheLayout> layout_of(Hub hub, const CachePlaces& places);

// Refuses what no hub's listing makes: names, commits, digests and paths that are none, with
// corrupt (paths), else with invalid_parameter; the message begins with the source.
Result<void> check_files(const model::RepositoryFiles& files);

// Takes the locks of files that are to be removed, where there are any. Fails with conflict where
// somebody has one.
Result<std::vector<FileLock>> lock_all(const std::vector<std::filesystem::path>& locks);

// When it was last written; the newest of several is the greatest.
std::filesystem::file_time_type changed_at(const std::filesystem::path& path);
std::string to_rfc3339(std::filesystem::file_time_type time);

}  // namespace berth::sources
