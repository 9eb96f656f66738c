#include "sources/cache/plain_folder.h"

#include "sources/hub/request.h"

#include <algorithm>
#include <charconv>
#include <set>

namespace berth::sources {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kVariable = "BERTH_MODEL_CACHES";

std::string_view take_line(std::string_view& text) {
  const std::string_view line = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(text.size(), line.size() + 1));
  return line;
}

// What huggingface_hub wrote beside a file that it downloaded (_local_folder.py: commit, ETag and
// time, a line each). It holds while the file was not written since.
struct Metadata {
  std::string commit;
  std::string etag;
};
std::optional<Metadata> read_metadata(const PlainFolder& folder, const std::string& path) {
  const fs::path at = folder.folder / ".cache" / "huggingface" / "download" / (path + ".metadata");
  if (!folder.place.size_of(at)) return std::nullopt;
  const auto text = read_file(at, 4_KiB);
  if (!text) return std::nullopt;
  std::string_view rest = *text;
  Metadata metadata{.commit = std::string(take_line(rest)), .etag = std::string(take_line(rest))};
  const std::string_view line = take_line(rest);
  double time = 0;
  if (std::from_chars(line.data(), line.data() + line.size(), time).ec != std::errc()) {
    return std::nullopt;
  }
  const auto changed = std::chrono::file_clock::to_sys(changed_at(folder.folder / path));
  const std::chrono::duration<double> since = changed.time_since_epoch();
  if (since.count() - 1 > time) return std::nullopt;  // file systems' times are not more exact
  return metadata;
}

bool has_size(const PlainFolder& folder, const model::RepositoryFile& file) {
  return folder.place.size_of(folder.folder / file.path) == file.size;
}

bool is_known(const PlainFolder& folder, const model::RepositoryFile& file,
              const KnownDigests& known) {
  if (const auto metadata = read_metadata(folder, file.path)) {
    if (metadata->etag == file.digest.hex) return true;
  }
  return known.knows(folder.folder / file.path, file);
}

// What tools keep beside the files, and what is not whole yet.
bool is_tools_own(const fs::path& relative) {
  const std::string name = relative.filename();
  const std::string first = relative.begin()->string();
  constexpr auto kNames = std::to_array<std::string_view>({".msc", ".mv", ".mdl", ".gitignore"});
  constexpr auto kEnds =
      std::to_array<std::string_view>({".part", ".part.journal", ".incomplete", ".lock", ".tmp"});
  return first == ".cache" || first == "._____temp" ||
         std::ranges::find(kNames, name) != kNames.end() ||
         std::ranges::any_of(kEnds, [&](std::string_view end) { return name.ends_with(end); });
}

LocalFiles all_of(const PlainFolder& folder, const model::RepositoryFiles& files) {
  LocalFiles found{.folder = folder.folder, .paths = {}};
  for (const auto& file : files.files) found.paths.emplace(file.path, folder.folder / file.path);
  return found;
}

std::string_view name_in_others(Hub hub) {
  return hub == Hub::model_scope ? "model_scope" : "huggingface";
}

}  // namespace

std::optional<LocalFiles> find_in_folder(const PlainFolder& folder,
                                         const model::RepositoryFiles& files,
                                         const KnownDigests& known) {
  const bool is_here = std::ranges::all_of(files.files, [&](const model::RepositoryFile& file) {
    return has_size(folder, file) && is_known(folder, file, known);
  });
  if (!is_here) return std::nullopt;
  return all_of(folder, files);
}

Result<std::optional<LocalFiles>> check_folder(const PlainFolder& folder,
                                               const model::RepositoryFiles& files,
                                               ContentCheck& check) {
  const bool may_be_here =
      std::ranges::all_of(files.files, [&](const auto& file) { return has_size(folder, file); });
  if (!may_be_here) return std::nullopt;
  for (const auto& file : files.files) {
    if (is_known(folder, file, check.known())) continue;
    BERTH_TRY(const bool matches, check.matches(folder.folder / file.path, file));
    if (!matches) return std::nullopt;
  }
  return all_of(folder, files);
}

std::vector<model::RepositoryFile> files_of_folder(const PlainFolder& folder) {
  std::vector<model::RepositoryFile> files;
  folder.place.each_file(
      folder.folder,
      [&](const fs::path& relative) {
        const auto size = folder.place.size_of(folder.folder / relative);
        if (!size || is_tools_own(relative) || !is_repository_path(relative.native())) return;
        model::RepositoryFile file{.path = relative, .size = *size, .digest = {}};
        const auto metadata = read_metadata(folder, file.path);
        if (metadata && is_sha256(metadata->etag)) {
          file.digest = {DigestKind::sha256, metadata->etag};
        } else if (metadata && is_commit(metadata->etag)) {
          file.digest = {DigestKind::git_blob, metadata->etag};
        }
        files.push_back(std::move(file));
      },
      [](const fs::path& relative) { return is_tools_own(relative); });
  std::ranges::sort(files, {}, &model::RepositoryFile::path);
  return files;
}

std::string commit_of_folder(const PlainFolder& folder) {
  std::set<std::string> commits;
  for (const auto& file : files_of_folder(folder)) {
    const auto metadata = read_metadata(folder, file.path);
    commits.insert(metadata && is_commit(metadata->commit) ? metadata->commit : "");
  }
  return commits.size() == 1 ? *commits.begin() : "";
}

std::optional<CachedRepository> describe_folder(const PlainFolder& folder, Hub hub,
                                                std::string repository) {
  CachedRepository entry{.hub = hub,
                         .repository = std::move(repository),
                         .folder = folder.folder,
                         .files = files_of_folder(folder)};
  if (entry.files.empty()) return std::nullopt;
  fs::file_time_type newest = fs::file_time_type::min();
  for (const auto& file : entry.files) {
    newest = std::max(newest, changed_at(folder.folder / file.path));
    entry.size += file.size;
  }
  entry.changed_at = to_rfc3339(newest);
  return entry;
}

std::vector<PlainFolder> other_folders(Hub hub, const std::string& repository,
                                       const CachePlaces& places) {
  std::vector<PlainFolder> folders;
  if (hub == Hub::ollama) return folders;
  folders.reserve(places.others.size());
  for (const auto& root : places.others) {
    folders.push_back(
        {.place = SafeFolder(root, kVariable), .folder = root / name_in_others(hub) / repository});
  }
  return folders;
}

void add_other_repositories(const CachePlaces& places, std::vector<CachedRepository>& to) {
  for (const Hub hub : {Hub::hugging_face, Hub::model_scope}) {
    for (const auto& root : places.others) {
      const fs::path top = root / name_in_others(hub);
      for (const auto& owner : folders_in(top)) {
        for (const auto& name : folders_in(top / owner)) {
          const PlainFolder folder{.place = SafeFolder(root, kVariable),
                                   .folder = top / owner / name};
          auto entry = describe_folder(folder, hub, fmt::format("{}/{}", owner, name));
          if (!entry) continue;
          entry->commit = commit_of_folder(folder);
          entry->writable = false;
          to.push_back(*std::move(entry));
        }
      }
    }
  }
}

}  // namespace berth::sources
