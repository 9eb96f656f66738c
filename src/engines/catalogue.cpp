#include "engines/catalogue.h"

#include "base/files.h"
#include "base/ids.h"
#include "engines/descriptor.h"
#include "engines/embedded.h"

#include <algorithm>
#include <sys/utsname.h>

namespace berth::engines {

namespace fs = std::filesystem;

namespace {

// Fills `entry.files` from the program itself.
Result<void> attach_embedded(CatalogueEntry& entry, std::string_view folder) {
  if (!entry.install) return {};
  auto wanted = entry.install->files;
  wanted.push_back(entry.install->requirements);
  if (entry.install->compile) wanted.push_back(entry.install->compile->requirements);
  for (const auto& name : wanted) {
    const auto path = fmt::format("{}/{}", folder, name);
    const auto files = embedded_files();
    const auto found = std::ranges::find(files, path, &EmbeddedFile::path);
    if (found == files.end()) {
      return fail(make_error(ErrorCode::invalid_parameter, "{}: engines/{} is not there",
                             entry.source, path)
                      .with_field("files"));
    }
    entry.files[name] = found->content;
  }
  return {};
}

Result<void> add(Catalogue& catalogue, CatalogueEntry entry) {
  if (const auto* other = catalogue.find(entry.pack.name)) {
    return fail(make_error(ErrorCode::already_exists, "{}: the name {} is taken by {}",
                           entry.source, entry.pack.name, other->source)
                    .with_field("name"));
  }
  catalogue.entries.push_back(std::move(entry));
  return {};
}

Result<void> add_shipped(Catalogue& catalogue) {
  constexpr std::string_view kEnd = "/pack.toml";
  for (const auto& file : embedded_files()) {
    if (!file.path.ends_with(kEnd)) continue;
    BERTH_TRY(auto entry, parse_descriptor(file.content, fmt::format("engines/{}", file.path)));
    BERTH_CHECK(attach_embedded(entry, file.path.substr(0, file.path.size() - kEnd.size())));
    BERTH_CHECK(add(catalogue, std::move(entry)));
  }
  return {};
}

Result<void> add_of_user(Catalogue& catalogue, const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> paths;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (it->path().extension() == ".toml") paths.push_back(it->path());
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    return fail_errno(error.value(), "reading {}", folder.string());
  }
  std::ranges::sort(paths);
  for (const auto& path : paths) {
    BERTH_TRY(const auto text, read_file(path, 1_MiB));
    BERTH_TRY(auto entry, parse_descriptor(text, path.string()));
    if (entry.pack.kind == model::PackKind::wheel) {
      return fail(make_error(ErrorCode::invalid_parameter,
                             "{}: kind must be \"path\" (a program of yours) or \"system\"",
                             entry.source)
                      .with_field("kind"));
    }
    BERTH_CHECK(add(catalogue, std::move(entry)));
  }
  return {};
}

}  // namespace

const CatalogueEntry* Catalogue::find(std::string_view name) const {
  const auto found = std::ranges::find_if(
      entries, [&](const CatalogueEntry& entry) { return entry.pack.name == name; });
  return found == entries.end() ? nullptr : &*found;
}

Result<Catalogue> load_catalogue(const fs::path& data_dir) {
  Catalogue catalogue;
  BERTH_CHECK(add_shipped(catalogue));
  BERTH_CHECK(add_of_user(catalogue, data_dir / "engines.d"));
  return catalogue;
}

std::string recipe_digest(const CatalogueEntry& entry) {
  // Only what decides about the installation: a new word in a descriptor makes no pack outdated.
  json::object all;
  all["name"] = entry.pack.name;
  all["version"] = entry.pack.version;
  all["files"] = to_json(entry.files);
  if (entry.install && !entry.install->finish.empty()) {
    all["finish"] = to_json(entry.install->finish);
  }
  if (entry.install && entry.install->compile) {
    all["environment"] = to_json(entry.install->compile->environment);
  }
  return sha256_hex(to_text(all));
}

std::string_view this_platform() {
  static const std::string platform = [] {
    utsname names{};
    std::string machine = ::uname(&names) == 0 ? names.machine : "unknown";
    if (machine == "x86_64") machine = "amd64";
    if (machine == "aarch64") machine = "arm64";
    return "linux/" + machine;
  }();
  return platform;
}

bool supports(const model::EnginePack& pack, std::string_view platform) {
  return pack.platforms.empty() ||
         std::ranges::find(pack.platforms, platform) != pack.platforms.end();
}

}  // namespace berth::engines
