// Ollama's models (server/images.go, manifest/paths.go):
//
//   blobs/sha256-HEX                     a layer's content
//   manifests/HOST/NAMESPACE/NAME/TAG    the registry's manifest: the layers of a tag
//
// When Ollama's server starts, it removes the blobs that no manifest names, and files in that
// folder whose names are no digests: parts of downloads, which then begin anew. So the manifest is
// written as well, and locks are in a folder of Berth's.
#include "base/ids.h"
#include "base/json.h"
#include "sources/address.h"
#include "sources/cache/layout.h"
#include "sources/download/part_file.h"
#include "sources/hub/files.h"
#include "sources/hub/request.h"

#include <algorithm>
#include <set>
#include <sys/stat.h>

#include <spdlog/spdlog.h>

namespace berth::sources {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kOwnHost = "registry.ollama.ai";
constexpr std::string_view kDefaultTag = "latest";
constexpr std::string_view kLocks = ".berth";
// What is fetched only so that Ollama has the model too: templates, licences, parameters.
constexpr Bytes kMostForOllama = 64_MiB;

std::string blob_name(std::string_view hex) { return fmt::format("sha256-{}", hex); }

// All blobs that a manifest names. Fails with corrupt.
Result<std::vector<model::RepositoryFile>> blobs_of(std::string_view manifest) {
  const auto value = parse_json(manifest);
  const auto* object = value ? value->if_object() : nullptr;
  const auto* layers = object == nullptr ? nullptr : object->if_contains("layers");
  if (layers == nullptr || !layers->is_array()) {
    return fail(ErrorCode::corrupt, "it has no layers");
  }
  std::vector<model::RepositoryFile> blobs;
  const auto add = [&](const json::value& layer) -> Result<void> {
    const std::string digest = text_member(layer, "digest");
    const auto size = size_member(layer, "size");
    if (!digest.starts_with("sha256:") || !is_sha256(digest.substr(7)) || !size) {
      return fail(ErrorCode::corrupt, "a layer has no digest or no size");
    }
    blobs.push_back({.path = blob_name(digest.substr(7)),
                     .size = *size,
                     .digest = {DigestKind::sha256, digest.substr(7)}});
    return {};
  };
  for (const auto& layer : layers->get_array()) BERTH_CHECK(add(layer));
  const auto* config = object->if_contains("config");
  if (config != nullptr && !text_member(*config, "digest").empty()) BERTH_CHECK(add(*config));
  return blobs;
}

std::string tag_of(const std::string& revision) {
  return revision.empty() ? std::string(kDefaultTag) : revision;
}

// As Ollama names the registry in its paths.
std::string host_name(const Address& registry) {
  const bool is_usual = registry.port == (registry.scheme == "https" ? "443" : "80");
  return is_usual ? registry.host : fmt::format("{}:{}", registry.host, registry.port);
}

// A manifest on this machine.
struct Manifest {
  std::string repository;  // "library/name"
  std::string tag;
  fs::path path;
};

class OllamaCache final : public CacheLayout {
 public:
  OllamaCache(fs::path root, std::vector<fs::path> others)
      : cache_(std::move(root), "OLLAMA_MODELS") {
    for (auto& other : others) others_.emplace_back(std::move(other), "OLLAMA_MODELS");
  }

  [[nodiscard]] std::optional<LocalFiles> find(const model::RepositoryFiles& files) const override;
  [[nodiscard]] std::vector<PlainFolder> plain_folders(
      const model::RepositoryFiles&) const override {
    return {};
  }
  Result<std::vector<CacheSlot>> prepare(const model::RepositoryFiles& files,
                                         ContentCheck& check) const override;
  Result<void> place(const model::RepositoryFile&, const CacheSlot&, bool,
                     std::stop_token) const override {
    return {};
  }
  Result<void> finish(const model::RepositoryFiles& files, const HubSettings& settings,
                      const DownloadOptions& options, bool has_fetched) const override;
  Result<Bytes> remove(const model::RepositoryFiles& files) const override;
  [[nodiscard]] std::optional<HubListing> list(const HubName& name) const override;
  void add_repositories(std::vector<CachedRepository>& to) const override;

 private:
  [[nodiscard]] fs::path lock_of(std::string_view hex) const {
    return cache_.root() / kLocks / (blob_name(hex) + ".lock");
  }
  // Those of Ollama's own registry first.
  static std::vector<Manifest> manifests(const SafeFolder& cache);
  static std::optional<HubListing> listing_of(const SafeFolder& cache, const HubName& name,
                                              const fs::path& manifest);
  Result<void> complete(const model::RepositoryFiles& files, const HubSettings& settings,
                        const DownloadOptions& options, const std::string& manifest) const;
  Result<Bytes> remove_blob(const std::string& hex) const;
  static void add_all(const SafeFolder& cache, bool writable, std::vector<CachedRepository>& to);

  SafeFolder cache_;
  std::vector<SafeFolder> others_;
};

std::optional<LocalFiles> OllamaCache::find(const model::RepositoryFiles& files) const {
  const auto find_in = [&](const SafeFolder& cache) -> std::optional<LocalFiles> {
    LocalFiles found;
    for (const auto& file : files.files) {
      const fs::path blob = cache.root() / "blobs" / blob_name(file.digest.hex);
      if (cache.size_of(blob) != file.size) return std::nullopt;
      found.paths.emplace(file.path, blob);
    }
    return found;
  };
  if (auto found = find_in(cache_)) return found;
  for (const auto& other : others_) {
    if (auto found = find_in(other)) return found;
  }
  return std::nullopt;
}

Result<std::vector<CacheSlot>> OllamaCache::prepare(const model::RepositoryFiles& files,
                                                    ContentCheck&) const {
  BERTH_CHECK(cache_.make("blobs"));
  BERTH_CHECK(cache_.make(kLocks));
  std::vector<CacheSlot> slots;
  slots.reserve(files.files.size());
  for (const auto& file : files.files) {
    if (file.digest.kind != DigestKind::sha256) {
      return fail(about_source(ErrorCode::invalid_parameter,
                               "{}: {} has no SHA-256, and Ollama names files by it", files.source,
                               file.path));
    }
    const fs::path blob = cache_.root() / "blobs" / blob_name(file.digest.hex);
    make_shared_lock(lock_of(file.digest.hex));
    slots.push_back({.path = blob,
                     .download = blob,
                     .lock = lock_of(file.digest.hex),
                     .is_there = cache_.size_of(blob) == file.size});
  }
  return slots;
}

// Fetches what else the manifest names, and writes it.
Result<void> OllamaCache::complete(const model::RepositoryFiles& files, const HubSettings& settings,
                                   const DownloadOptions& options,
                                   const std::string& manifest) const {
  model::RepositoryFiles rest = files;
  BERTH_TRY(rest.files, blobs_of(manifest));
  std::erase_if(rest.files, [&](const model::RepositoryFile& blob) {
    return cache_.size_of(cache_.root() / "blobs" / blob.path) == blob.size;
  });
  if (const Bytes missing = total_size(rest); missing > kMostForOllama) {
    return fail(ErrorCode::too_large, "the tag has {} more than the model needs", missing);
  }
  for (const auto& blob : rest.files) {
    BERTH_TRY(auto address, parse_address(url_of(rest, blob, settings)));
    DownloadOptions own = options;
    own.lock = lock_of(blob.digest.hex);
    BERTH_CHECK(download({.address = std::move(address),
                          .path = cache_.root() / "blobs" / blob.path,
                          .size = blob.size,
                          .digest = blob.digest,
                          .etag = "",
                          .commit = ""},
                         own));
  }
  BERTH_TRY(const auto registry, parse_address(settings.ollama.endpoint + "/file"));
  const fs::path folder = fs::path("manifests") / host_name(registry) / files.repository;
  BERTH_CHECK(cache_.make(folder));
  return write_file_atomic(cache_.root() / folder / tag_of(files.revision), manifest);
}

// The manifest is for Ollama alone: the model runs without it.
Result<void> OllamaCache::finish(const model::RepositoryFiles& files, const HubSettings& settings,
                                 const DownloadOptions& options, bool) const {
  const auto asked = ask_ollama_manifest(hub_name_of(files), settings);
  Result<void> done;
  if (!asked) {
    done = fail(asked.error());
  } else if (sha256_hex(asked->text) != files.commit) {
    done = fail(ErrorCode::conflict, "the tag has moved on at the registry");
  } else {
    done = complete(files, settings, options, asked->text);
  }
  if (done) return {};
  if (done.error().code == ErrorCode::cancelled) return done;
  spdlog::warn(
      "{}: its files are at {}, but Ollama itself is not told of them, and may remove them when it "
      "starts: {}",
      files.source, cache_.root().string(), done.error().to_string());
  return {};
}

std::vector<Manifest> OllamaCache::manifests(const SafeFolder& cache) {
  std::vector<Manifest> found;
  const fs::path top = cache.root() / "manifests";
  cache.each_file(top, [&](const fs::path& relative) {
    const std::vector<std::string> parts(relative.begin(), relative.end());
    if (parts.size() != 4 || !cache.size_of(top / relative)) return;
    found.push_back({.repository = fmt::format("{}/{}", parts[1], parts[2]),
                     .tag = parts[3],
                     .path = top / relative});
  });
  std::ranges::sort(found, {}, [&](const Manifest& manifest) {
    const std::string host = *manifest.path.lexically_relative(top).begin();
    return std::tuple(host != kOwnHost, manifest.path);
  });
  return found;
}

std::optional<HubListing> OllamaCache::listing_of(const SafeFolder& cache, const HubName& name,
                                                  const fs::path& manifest) {
  const auto text = read_file(manifest);
  if (!text) return std::nullopt;
  const auto value = parse_json(*text);
  if (!value) return std::nullopt;
  auto listing = read_ollama_manifest(name, *text, *value);
  if (!listing) return std::nullopt;
  std::erase_if(listing->files, [&](const HubFile& file) {
    return cache.size_of(cache.root() / "blobs" / blob_name(file.digest.hex)) != file.size;
  });
  if (listing->files.empty()) return std::nullopt;
  return *std::move(listing);
}

std::optional<HubListing> OllamaCache::list(const HubName& name) const {
  const auto list_in = [&](const SafeFolder& cache) -> std::optional<HubListing> {
    for (const auto& manifest : manifests(cache)) {
      if (manifest.repository != name.repository || manifest.tag != tag_of(name.revision)) continue;
      if (auto listing = listing_of(cache, name, manifest.path)) return listing;
    }
    return std::nullopt;
  };
  if (auto listing = list_in(cache_)) return listing;
  for (const auto& other : others_) {
    if (auto listing = list_in(other)) return listing;
  }
  return std::nullopt;
}

Result<Bytes> OllamaCache::remove_blob(const std::string& hex) const {
  const fs::path blob = cache_.root() / "blobs" / blob_name(hex);
  Bytes freed;
  for (const auto& path : {blob, part_path(blob), journal_path(blob)}) {
    freed += cache_.allocated(path);
    BERTH_CHECK(cache_.remove(path));
  }
  return freed;
}

Result<Bytes> OllamaCache::remove(const model::RepositoryFiles& files) const {
  if (!cache_.has_folder(cache_.root() / "blobs")) return 0_B;
  BERTH_CHECK(cache_.make(kLocks));
  std::set<std::string> unwanted;
  for (const auto& file : files.files) unwanted.insert(file.digest.hex);
  std::set<std::string> used;
  std::vector<fs::path> own;  // manifests of just this
  for (const auto& manifest : manifests(cache_)) {
    BERTH_TRY(const auto text, read_file(manifest.path));
    const auto blobs = blobs_of(text);
    if (!blobs) {
      return fail(
          ErrorCode::corrupt,
          "{}: {}, so that it can not be told which files are still needed; remove it first",
          manifest.path.string(), blobs.error().message);
    }
    const bool is_own = manifest.repository == files.repository &&
                        manifest.tag == tag_of(files.revision) && sha256_hex(text) == files.commit;
    if (is_own) own.push_back(manifest.path);
    for (const auto& blob : *blobs) (is_own ? unwanted : used).insert(blob.digest.hex);
  }
  for (const auto& hex : used) unwanted.erase(hex);
  std::vector<fs::path> locks;
  locks.reserve(unwanted.size());
  for (const auto& hex : unwanted) locks.push_back(lock_of(hex));
  BERTH_TRY(const auto held, lock_all(locks));
  for (const auto& path : own) {
    BERTH_CHECK(cache_.remove(path));
    cache_.remove_empty(path.parent_path(), cache_.root() / "manifests");
  }
  Bytes freed;
  for (const auto& hex : unwanted) {
    BERTH_TRY(const Bytes size, remove_blob(hex));
    freed += size;
  }
  return freed;
}

void OllamaCache::add_all(const SafeFolder& cache, bool writable,
                          std::vector<CachedRepository>& to) {
  for (const auto& manifest : manifests(cache)) {
    HubName name;
    name.hub = Hub::ollama;
    name.repository = manifest.repository;
    name.revision = manifest.tag;
    const auto listing = listing_of(cache, name, manifest.path);
    if (!listing) continue;
    CachedRepository entry{.hub = Hub::ollama,
                           .repository = manifest.repository,
                           .commit = listing->commit,
                           .revisions = manifest.tag,
                           .folder = cache.root() / "blobs",
                           .writable = writable};
    for (const auto& file : listing->files) {
      entry.files.push_back({.path = file.path, .size = file.size, .digest = file.digest});
      entry.size += file.size;
    }
    entry.changed_at = to_rfc3339(changed_at(manifest.path));
    to.push_back(std::move(entry));
  }
}

void OllamaCache::add_repositories(std::vector<CachedRepository>& to) const {
  add_all(cache_, true, to);
  for (const auto& other : others_) add_all(other, false, to);
}

}  // namespace

std::unique_ptr<CacheLayout> ollama_layout(const CachePlaces& places) {
  return std::make_unique<OllamaCache>(places.ollama, places.other_ollama);
}

}  // namespace berth::sources
