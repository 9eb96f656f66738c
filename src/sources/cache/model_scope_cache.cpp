// ModelScope's cache, as modelscope_hub 0.5 has it, which modelscope 1.40 downloads with
// (_download.py: DownloadManager):
//
//   models/OWNER--NAME/snapshots/REVISION/PATH   the file itself; the revision as it was asked for,
//                                                "master" where none was
//   .lock/file_HASH.lock                         held while a file is downloaded
//
// and what releases up to 1.37 left, NAME with "___" for each ".":
//
//   models/OWNER/NAME/PATH, hub/models/OWNER/NAME/PATH
//
// There is no index: its own tools look at size and digest of what is there. The folder of a branch
// holds what the branch was when each file came, so files that are not known are read once. Where
// that folder has another version of a file, the commit's own folder is taken: nothing is replaced
// that somebody may be using.
#include "base/ids.h"
#include "sources/cache/plain_folder.h"
#include "sources/download/part_file.h"
#include "sources/hub/request.h"

#include <algorithm>
#include <set>
#include <sys/stat.h>

namespace berth::sources {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kDefaultRevision = "master";

std::string replaced(std::string text, std::string_view what, std::string_view by) {
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size())) {
    text.replace(at, what.size(), by);
  }
  return text;
}

class ModelScopeCache final : public CacheLayout {
 public:
  ModelScopeCache(fs::path root, fs::path known)
      : cache_(std::move(root), "MODELSCOPE_CACHE"), known_(std::move(known)) {}

  [[nodiscard]] std::optional<LocalFiles> find(const model::RepositoryFiles& files) const override {
    for (const auto& folder : plain_folders(files)) {
      if (auto found = find_in_folder(folder, files, known_)) return found;
    }
    return std::nullopt;
  }
  [[nodiscard]] std::vector<PlainFolder> plain_folders(
      const model::RepositoryFiles& files) const override;
  Result<std::vector<CacheSlot>> prepare(const model::RepositoryFiles& files,
                                         ContentCheck& check) const override;
  Result<void> place(const model::RepositoryFile& file, const CacheSlot& slot, bool was_there,
                     std::stop_token stop) const override;
  Result<void> finish(const model::RepositoryFiles&, const HubSettings&, const DownloadOptions&,
                      bool) const override {
    return {};
  }
  Result<Bytes> remove(const model::RepositoryFiles& files) const override;
  [[nodiscard]] std::optional<HubListing> list(const HubName& name) const override;
  void add_repositories(std::vector<CachedRepository>& to) const override;

 private:
  [[nodiscard]] PlainFolder snapshot_of(std::string_view repository, std::string_view name) const;
  [[nodiscard]] std::vector<PlainFolder> older_folders(std::string_view repository) const;
  [[nodiscard]] std::vector<PlainFolder> snapshots_of(const model::RepositoryFiles& files) const;
  // Nothing where the folder has another version of a file.
  Result<std::optional<std::vector<CacheSlot>>> slots_in(const PlainFolder& folder,
                                                         const model::RepositoryFiles& files,
                                                         ContentCheck& check) const;
  [[nodiscard]] fs::path lock_of(std::string_view repository, std::string_view path) const;
  Result<Bytes> remove_file(const PlainFolder& folder, const model::RepositoryFile& file) const;
  void add(const PlainFolder& folder, const std::string& repository, const std::string& revision,
           std::vector<CachedRepository>& to) const;

  SafeFolder cache_;
  KnownDigests known_;
};

PlainFolder ModelScopeCache::snapshot_of(std::string_view repository, std::string_view name) const {
  return {.place = cache_,
          .folder = cache_.root() / "models" / replaced(std::string(repository), "/", "--") /
                    "snapshots" / name};
}

std::vector<PlainFolder> ModelScopeCache::older_folders(std::string_view repository) const {
  const auto slash = repository.find('/');
  const fs::path below = fs::path("models") / repository.substr(0, slash) /
                         replaced(std::string(repository.substr(slash + 1)), ".", "___");
  return {{.place = cache_, .folder = cache_.root() / below},
          {.place = cache_, .folder = cache_.root() / "hub" / below}};
}

std::vector<PlainFolder> ModelScopeCache::snapshots_of(const model::RepositoryFiles& files) const {
  const std::string_view revision =
      files.revision.empty() ? kDefaultRevision : std::string_view(files.revision);
  std::vector<PlainFolder> folders{snapshot_of(files.repository, revision)};
  if (!files.commit.empty() && files.commit != revision) {
    folders.push_back(snapshot_of(files.repository, files.commit));
  }
  return folders;
}

std::vector<PlainFolder> ModelScopeCache::plain_folders(const model::RepositoryFiles& files) const {
  auto folders = snapshots_of(files);
  for (auto& folder : older_folders(files.repository)) folders.push_back(std::move(folder));
  return folders;
}

fs::path ModelScopeCache::lock_of(std::string_view repository, std::string_view path) const {
  std::string key = "modelscope-hub-download-lock-v2";
  for (const std::string_view part :
       {std::string_view("file"), std::string_view("model"), repository, path}) {
    key += '\0';
    key += part;
  }
  return cache_.root() / ".lock" / fmt::format("file_{}.lock", sha256_hex(key));
}

Result<std::optional<std::vector<CacheSlot>>> ModelScopeCache::slots_in(
    const PlainFolder& folder, const model::RepositoryFiles& files, ContentCheck& check) const {
  std::vector<CacheSlot> slots;
  slots.reserve(files.files.size());
  for (const auto& file : files.files) {
    const fs::path path = folder.folder / file.path;
    CacheSlot slot{.path = path, .download = path, .lock = lock_of(files.repository, file.path)};
    std::error_code error;
    if (fs::exists(fs::symlink_status(path, error))) {
      if (cache_.size_of(path) != file.size) return std::nullopt;
      BERTH_TRY(slot.is_there, check.matches(path, file));
      if (!slot.is_there) return std::nullopt;
    }
    slots.push_back(std::move(slot));
  }
  return slots;
}

Result<std::vector<CacheSlot>> ModelScopeCache::prepare(const model::RepositoryFiles& files,
                                                        ContentCheck& check) const {
  const auto folders = snapshots_of(files);
  for (const auto& folder : folders) {
    BERTH_TRY(auto slots, slots_in(folder, files, check));
    if (!slots) continue;
    BERTH_CHECK(cache_.make(".lock"));
    for (std::size_t i = 0; i < slots->size(); ++i) {
      CacheSlot& slot = (*slots)[i];
      BERTH_CHECK(cache_.make(slot.path.parent_path().lexically_relative(cache_.root())));
      make_shared_lock(slot.lock);
      if (slot.is_there) continue;
      // The same file in another folder of this repository need not come again.
      for (const auto& other : plain_folders(files)) {
        const auto& file = files.files[i];
        const fs::path path = other.folder / file.path;
        if (file.digest.kind == DigestKind::none || cache_.size_of(path) != file.size ||
            !known_.knows(path, file)) {
          continue;
        }
        std::error_code error;
        fs::create_hard_link(fs::canonical(path, error), slot.path, error);
        slot.has_content = !error;
        if (slot.has_content) break;
      }
    }
    return *std::move(slots);
  }
  return fail(ErrorCode::conflict,
              "{} has another version of these files; move it away, or name the commit that is "
              "wanted",
              folders.front().folder.string());
}

// The name tells no digest, so what somebody else put there may be another version.
Result<void> ModelScopeCache::place(const model::RepositoryFile& file, const CacheSlot& slot,
                                    bool was_there, std::stop_token stop) const {
  if (!was_there) {
    known_.remember(slot.path, file.digest);
    return {};
  }
  ContentCheck check(known_, std::move(stop), nullptr);
  BERTH_TRY(const bool matches, check.matches(slot.path, file));
  if (matches) return {};
  return fail(ErrorCode::conflict, "{} was fetched by somebody else meanwhile, in another version",
              slot.path.string());
}

// Only what is known to be the file: others are of another version, or nobody has read them.
Result<Bytes> ModelScopeCache::remove_file(const PlainFolder& folder,
                                           const model::RepositoryFile& file) const {
  const fs::path path = folder.folder / file.path;
  Bytes freed;
  struct stat status{};
  if (cache_.size_of(path) == file.size && known_.knows(path, file) &&
      ::lstat(path.c_str(), &status) == 0) {
    if (S_ISREG(status.st_mode) && status.st_nlink == 1) freed += file.size;
    BERTH_CHECK(cache_.remove(path));
    known_.forget(path);
  }
  for (const auto& part : {part_path(path), journal_path(path)}) {
    freed += cache_.allocated(part);
    BERTH_CHECK(cache_.remove(part));
  }
  cache_.remove_empty(path.parent_path(), cache_.root());
  return freed;
}

Result<Bytes> ModelScopeCache::remove(const model::RepositoryFiles& files) const {
  if (!cache_.has_folder(cache_.root())) return 0_B;
  BERTH_CHECK(cache_.make(".lock"));
  std::vector<fs::path> locks;
  locks.reserve(files.files.size());
  for (const auto& file : files.files) locks.push_back(lock_of(files.repository, file.path));
  BERTH_TRY(const auto held, lock_all(locks));
  Bytes freed;
  for (const auto& folder : plain_folders(files)) {
    for (const auto& file : files.files) {
      BERTH_TRY(const Bytes size, remove_file(folder, file));
      freed += size;
    }
  }
  return freed;
}

std::optional<HubListing> ModelScopeCache::list(const HubName& name) const {
  const model::RepositoryFiles wanted{
      .hub = Hub::model_scope, .repository = name.repository, .revision = name.revision};
  for (const auto& folder : plain_folders(wanted)) {
    HubListing listing{.name = name, .commit = "", .files = {}};
    for (auto& file : files_of_folder(folder)) {
      listing.files.push_back(
          {.path = std::move(file.path), .size = file.size, .digest = std::move(file.digest)});
    }
    if (!listing.files.empty()) return listing;
  }
  return std::nullopt;
}

void ModelScopeCache::add(const PlainFolder& folder, const std::string& repository,
                          const std::string& revision, std::vector<CachedRepository>& to) const {
  auto entry = describe_folder(folder, Hub::model_scope, repository);
  if (!entry) return;
  (is_commit(revision) ? entry->commit : entry->revisions) = revision;
  to.push_back(*std::move(entry));
}

void ModelScopeCache::add_repositories(std::vector<CachedRepository>& to) const {
  for (const auto* top : {"models", "hub/models"}) {
    const fs::path models = cache_.root() / top;
    for (const auto& name : folders_in(models)) {
      const auto dashes = name.find("--");
      if (dashes != std::string::npos) {
        const std::string repository = name.substr(0, dashes) + "/" + name.substr(dashes + 2);
        for (const auto& revision : folders_in(models / name / "snapshots")) {
          add({.place = cache_, .folder = models / name / "snapshots" / revision}, repository,
              revision, to);
        }
        continue;
      }
      for (const auto& folder : folders_in(models / name)) {
        add({.place = cache_, .folder = models / name / folder},
            name + "/" + replaced(folder, "___", "."), "", to);
      }
    }
  }
}

}  // namespace

std::unique_ptr<CacheLayout> model_scope_layout(const CachePlaces& places) {
  return std::make_unique<ModelScopeCache>(places.model_scope, places.known_digests);
}

}  // namespace berth::sources
