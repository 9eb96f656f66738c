// huggingface_hub's cache, as its release 2.4 reads and writes it (file_download.py):
//
//   models--ORG--NAME/blobs/ETAG              a file's content; the ETag is its SHA-256, or git's
//                                             digest; a link to ../../blobs/ where it is shared
//   models--ORG--NAME/snapshots/COMMIT/PATH   a link to ../../blobs/ETAG; where there are no links,
//                                             the file itself
//   models--ORG--NAME/refs/REVISION           the commit that a branch or tag was
//   .locks/models--ORG--NAME/ETAG.lock        held while the blob is downloaded
//
// huggingface_hub writes the reference before the first file. Here it comes after the last one, so
// that whoever resolves it without a network finds the files of the commit before until those of
// the new one are there.
#include "base/ids.h"
#include "sources/cache/layout.h"
#include "sources/download/part_file.h"
#include "sources/hub/request.h"

#include <algorithm>
#include <cerrno>
#include <set>
#include <system_error>

#include <unistd.h>

namespace berth::sources {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kPrefix = "models--";
constexpr std::string_view kDefaultRevision = "main";

std::string folder_name(std::string_view repository) {
  const auto slash = repository.find('/');
  return fmt::format("{}{}--{}", kPrefix, repository.substr(0, slash),
                     repository.substr(slash + 1));
}

// Of a folder's name; empty where it is none.
std::string repository_of(std::string_view name) {
  if (!name.starts_with(kPrefix)) return {};
  name.remove_prefix(kPrefix.size());
  const auto end = name.find("--");
  if (end == std::string_view::npos || end == 0 || end + 2 == name.size()) return {};
  return fmt::format("{}/{}", name.substr(0, end), name.substr(end + 2));
}

model::FileDigest digest_of(std::string blob) {
  if (is_sha256(blob)) return {model::DigestKind::sha256, std::move(blob)};
  if (is_commit(blob)) return {model::DigestKind::git_blob, std::move(blob)};
  return {};
}

class HuggingFaceCache final : public CacheLayout {
 public:
  explicit HuggingFaceCache(fs::path root) : cache_(std::move(root), "HF_HUB_CACHE") {}

  [[nodiscard]] std::optional<LocalFiles> find(const model::RepositoryFiles& files) const override;
  [[nodiscard]] std::vector<PlainFolder> plain_folders(
      const model::RepositoryFiles&) const override {
    return {};
  }
  Result<std::vector<CacheSlot>> prepare(const model::RepositoryFiles& files,
                                         ContentCheck& check) const override;
  Result<void> place(const model::RepositoryFile& file, const CacheSlot& slot, bool was_there,
                     std::stop_token stop) const override;
  Result<void> finish(const model::RepositoryFiles& files, const HubSettings& settings,
                      const DownloadOptions& options, bool has_fetched) const override;
  Result<Bytes> remove(const model::RepositoryFiles& files) const override;
  [[nodiscard]] std::optional<HubListing> list(const HubName& name) const override;
  void add_repositories(std::vector<CachedRepository>& to) const override;

 private:
  [[nodiscard]] fs::path folder_of(std::string_view repository) const {
    return cache_.root() / folder_name(repository);
  }
  [[nodiscard]] fs::path lock_of(std::string_view repository, const std::string& digest) const {
    return cache_.root() / ".locks" / folder_name(repository) / (digest + ".lock");
  }
  // The name of the blob that the entry of a snapshot is a link to; empty for a plain file.
  [[nodiscard]] std::optional<std::string> blob_of(const fs::path& folder,
                                                   const fs::path& entry) const;
  [[nodiscard]] bool is_whole(const fs::path& folder, const fs::path& entry,
                              const model::RepositoryFile& file) const;
  [[nodiscard]] std::set<std::string> blobs_in_use(const fs::path& folder) const;
  [[nodiscard]] std::vector<model::RepositoryFile> files_in(const fs::path& folder,
                                                            const fs::path& snapshot) const;
  [[nodiscard]] std::vector<std::string> revisions_at(const fs::path& folder,
                                                      const std::string& commit) const;
  Result<Bytes> remove_entry(const fs::path& entry) const;
  Result<Bytes> remove_blob(const fs::path& folder, const std::string& digest) const;
  void remove_rest(const fs::path& folder) const;

  SafeFolder cache_;
};

std::optional<std::string> HuggingFaceCache::blob_of(const fs::path& folder,
                                                     const fs::path& entry) const {
  std::error_code error;
  if (!fs::is_symlink(entry, error)) return std::string();
  const fs::path target = (entry.parent_path() / fs::read_symlink(entry, error)).lexically_normal();
  if (error || target.parent_path() != (folder / "blobs").lexically_normal()) return std::nullopt;
  return target.filename();
}

// A plain file says by its place alone what it is: it is of that commit.
bool HuggingFaceCache::is_whole(const fs::path& folder, const fs::path& entry,
                                const model::RepositoryFile& file) const {
  const auto size = cache_.size_of(entry);
  if (!size || *size != file.size) return false;
  const auto blob = blob_of(folder, entry);
  return blob && (blob->empty() || *blob == file.digest.hex);
}

std::optional<LocalFiles> HuggingFaceCache::find(const model::RepositoryFiles& files) const {
  const fs::path folder = folder_of(files.repository);
  // Another commit's snapshot may have the same files and others beside them.
  LocalFiles found{.folder = folder / "snapshots" / files.commit, .paths = {}};
  for (const auto& file : files.files) {
    const fs::path entry = found.folder / file.path;
    if (!is_whole(folder, entry, file)) return std::nullopt;
    found.paths.emplace(file.path, entry);
  }
  return found;
}

Result<std::vector<CacheSlot>> HuggingFaceCache::prepare(const model::RepositoryFiles& files,
                                                         ContentCheck&) const {
  const fs::path name = folder_name(files.repository);
  const fs::path snapshot = name / "snapshots" / files.commit;
  BERTH_CHECK(cache_.make(name / "blobs"));
  BERTH_CHECK(cache_.make(fs::path(".locks") / name));
  std::vector<CacheSlot> slots;
  slots.reserve(files.files.size());
  for (const auto& file : files.files) {
    if (file.digest.kind == model::DigestKind::none) {
      return fail(about_source(ErrorCode::invalid_parameter,
                               "{}: {} has no digest, and Hugging Face's cache names files by it",
                               files.source, file.path));
    }
    BERTH_CHECK(cache_.make((snapshot / file.path).parent_path()));
    CacheSlot slot{.path = cache_.root() / snapshot / file.path,
                   .download = cache_.root() / name / "blobs" / file.digest.hex,
                   .lock = lock_of(files.repository, file.digest.hex)};
    make_shared_lock(slot.lock);
    slot.is_there = is_whole(cache_.root() / name, slot.path, file);
    slot.has_content = cache_.size_of(slot.download) == file.size;
    slots.push_back(std::move(slot));
  }
  return slots;
}

Result<void> HuggingFaceCache::place(const model::RepositoryFile&, const CacheSlot& slot, bool,
                                     std::stop_token) const {
  std::error_code error;
  const auto there = fs::symlink_status(slot.path, error);
  if (fs::exists(there) && !fs::is_symlink(there)) {
    return fail(ErrorCode::conflict, "{} is there and is not the file of that commit; move it away",
                slot.path.string());
  }
  const fs::path target = slot.download.lexically_relative(slot.path.parent_path());
  if (::symlink(target.c_str(), slot.path.c_str()) == 0) return {};
  // Another link is there, which may lead nowhere: beside it, and then renamed, so that others see
  // what was there before, or what is to be there.
  const fs::path beside = fmt::format("{}.{}.tmp", slot.path.string(), random_id(6));
  fs::create_symlink(target, beside, error);
  if (error) {
    return fail(ErrorCode::io,
                "no symbolic link can be made in {} ({}), and the cache's layout needs them: name "
                "a folder on another file system with HF_HUB_CACHE",
                slot.path.parent_path().string(), error.message());
  }
  if (::rename(beside.c_str(), slot.path.c_str()) == 0) return {};
  const int reason = errno;
  ::unlink(beside.c_str());
  return fail(cache_.write_error(reason, slot.path));
}

Result<void> HuggingFaceCache::finish(const model::RepositoryFiles& files, const HubSettings&,
                                      const DownloadOptions&, bool has_fetched) const {
  const std::string revision =
      files.revision.empty() ? std::string(kDefaultRevision) : files.revision;
  if (is_commit(revision)) return {};
  const fs::path name = fs::path(folder_name(files.repository)) / "refs" / revision;
  const fs::path path = cache_.root() / name;
  const auto there = read_file(path, 4_KiB);
  // A call that found all files here may be of an older listing than the reference is.
  if (there && (*there == files.commit || !has_fetched)) return {};
  BERTH_CHECK(cache_.make(name.parent_path()));
  return write_file_atomic(path, files.commit);
}

std::set<std::string> HuggingFaceCache::blobs_in_use(const fs::path& folder) const {
  std::set<std::string> used;
  const fs::path snapshots = folder / "snapshots";
  cache_.each_file(snapshots, [&](const fs::path& relative) {
    if (auto blob = blob_of(folder, snapshots / relative)) used.insert(*std::move(blob));
  });
  return used;
}

Result<Bytes> HuggingFaceCache::remove_entry(const fs::path& entry) const {
  const Bytes size = cache_.allocated(entry);
  BERTH_CHECK(cache_.remove(entry));
  return size;
}

// With what is left of its download. Of one that is shared only the link, since the others that
// share it are not known.
Result<Bytes> HuggingFaceCache::remove_blob(const fs::path& folder,
                                            const std::string& digest) const {
  Bytes freed;
  const fs::path blob = folder / "blobs" / digest;
  for (const auto& path : {blob, part_path(blob), journal_path(blob)}) {
    BERTH_TRY(const Bytes size, remove_entry(path));
    freed += size;
  }
  return freed;
}

// What is left of a repository without files.
void HuggingFaceCache::remove_rest(const fs::path& folder) const {
  cache_.remove_empty(folder / "blobs", folder);
  cache_.remove_empty(folder / "snapshots", folder);
  std::error_code error;
  if (fs::exists(folder / "blobs", error) || fs::exists(folder / "snapshots", error)) return;
  // Lists of what is at the hub, and of what is not.
  for (const char* name : {"refs", "trees", ".no_exist"}) {
    if (cache_.has_folder(folder / name)) fs::remove_all(folder / name, error);
  }
  cache_.remove_empty(folder, cache_.root());
}

Result<Bytes> HuggingFaceCache::remove(const model::RepositoryFiles& files) const {
  const fs::path folder = folder_of(files.repository);
  if (!cache_.has_folder(folder)) return 0_B;
  BERTH_CHECK(cache_.make(fs::path(".locks") / folder.filename()));
  std::set<fs::path> locks;
  for (const auto& file : files.files) {
    if (!file.digest.hex.empty()) locks.insert(lock_of(files.repository, file.digest.hex));
  }
  BERTH_TRY(const auto held, lock_all({locks.begin(), locks.end()}));
  Bytes freed;
  const fs::path snapshot = folder / "snapshots" / files.commit;
  for (const auto& file : files.files) {
    BERTH_TRY(const Bytes size, remove_entry(snapshot / file.path));
    freed += size;
    cache_.remove_empty((snapshot / file.path).parent_path(), folder / "snapshots");
  }
  const auto used = blobs_in_use(folder);
  for (const auto& file : files.files) {
    if (file.digest.hex.empty() || used.contains(file.digest.hex)) continue;
    BERTH_TRY(const Bytes size, remove_blob(folder, file.digest.hex));
    freed += size;
  }
  std::error_code error;
  if (!fs::exists(snapshot, error)) {
    for (const auto& revision : revisions_at(folder, files.commit)) {
      BERTH_CHECK(cache_.remove(folder / "refs" / revision));
      cache_.remove_empty((folder / "refs" / revision).parent_path(), folder);
    }
  }
  remove_rest(folder);
  return freed;
}

std::vector<model::RepositoryFile> HuggingFaceCache::files_in(const fs::path& folder,
                                                              const fs::path& snapshot) const {
  std::vector<model::RepositoryFile> files;
  cache_.each_file(snapshot, [&](const fs::path& relative) {
    const auto size = cache_.size_of(snapshot / relative);
    const auto blob = blob_of(folder, snapshot / relative);
    if (!size || !blob || !is_repository_path(relative.native())) return;
    files.push_back({.path = relative, .size = *size, .digest = digest_of(*blob)});
  });
  std::ranges::sort(files, {}, &model::RepositoryFile::path);
  return files;
}

std::vector<std::string> HuggingFaceCache::revisions_at(const fs::path& folder,
                                                        const std::string& commit) const {
  std::vector<std::string> revisions;
  cache_.each_file(folder / "refs", [&](const fs::path& relative) {
    if (read_file(folder / "refs" / relative, 4_KiB) == commit) revisions.push_back(relative);
  });
  std::ranges::sort(revisions);
  return revisions;
}

std::optional<HubListing> HuggingFaceCache::list(const HubName& name) const {
  const fs::path folder = folder_of(name.repository);
  std::string commit = name.revision.empty() ? std::string(kDefaultRevision) : name.revision;
  if (const fs::path ref = folder / "refs" / commit; cache_.size_of(ref)) {
    commit = read_file(ref, 4_KiB).value_or("");
  }
  if (!is_commit(commit)) return std::nullopt;
  HubListing listing{.name = name, .commit = commit, .files = {}};
  for (auto& file : files_in(folder, folder / "snapshots" / commit)) {
    listing.files.push_back(
        {.path = std::move(file.path), .size = file.size, .digest = std::move(file.digest)});
  }
  if (listing.files.empty()) return std::nullopt;
  return listing;
}

void HuggingFaceCache::add_repositories(std::vector<CachedRepository>& to) const {
  for (const auto& name : folders_in(cache_.root())) {
    const std::string repository = repository_of(name);
    if (repository.empty()) continue;
    const fs::path folder = cache_.root() / name;
    for (const auto& commit : folders_in(folder / "snapshots")) {
      const fs::path snapshot = folder / "snapshots" / commit;
      CachedRepository entry{
          .hub = Hub::hugging_face,
          .repository = repository,
          .commit = is_commit(commit) ? commit : "",
          .revisions = fmt::format("{}", fmt::join(revisions_at(folder, commit), ", ")),
          .folder = snapshot,
          .files = files_in(folder, snapshot)};
      if (entry.files.empty()) continue;
      std::set<std::string> seen;
      fs::file_time_type newest = fs::file_time_type::min();
      for (const auto& file : entry.files) {
        newest = std::max(newest, changed_at(snapshot / file.path));
        if (file.digest.hex.empty() || seen.insert(file.digest.hex).second) entry.size += file.size;
      }
      entry.changed_at = to_rfc3339(newest);
      to.push_back(std::move(entry));
    }
  }
}

}  // namespace

std::unique_ptr<CacheLayout> hugging_face_layout(const CachePlaces& places) {
  return std::make_unique<HuggingFaceCache>(places.hugging_face);
}

}  // namespace berth::sources
