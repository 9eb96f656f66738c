#include "engines/installer.h"

#include "engines/compile_steps.h"
#include "engines/embedded.h"
#include "engines/finder.h"
#include "engines/folders.h"
#include "engines/install_steps.h"
#include "engines/manifest.h"
#include "engines/runtime.h"

#include <algorithm>
#include <utility>

namespace berth::engines {

namespace fs = std::filesystem;

namespace {

fs::path packs_folder(const InstallerOptions& options) { return options.data_dir / "packs"; }

model::PackStatus installed_status(const CatalogueEntry& entry, Bytes size,
                                   const fs::path& folder) {
  return {.pack = entry.pack,
          .state = model::PackState::installed,
          .folder = folder.string(),
          .size = size};
}

// The installation in `folder`, if it is whole and of this very recipe.
std::optional<model::PackStatus> current(const fs::path& folder, const CatalogueEntry& entry) {
  const auto manifest = read_manifest(folder);
  std::error_code error;
  if (!manifest || manifest->digest != recipe_digest(entry) ||
      !fs::exists(pack_python(folder), error)) {
    return std::nullopt;
  }
  return installed_status(entry, manifest->size, folder);
}

Result<void> remove_all_of(const fs::path& folder) {
  std::error_code error;
  fs::remove_all(folder, error);
  if (error) return fail_errno(error.value(), "removing {}", folder.string());
  return {};
}

}  // namespace

std::string_view shipped_uv_lock() {
  const auto files = embedded_files();
  const auto found = std::ranges::find(files, "uv/requirements.lock", &EmbeddedFile::path);
  return found == files.end() ? std::string_view() : found->content;
}

Installer::Installer(InstallerOptions options, CommandRunner& commands)
    : options_(std::move(options)), commands_(commands) {}

Result<model::PackStatus> Installer::install(const CatalogueEntry& entry,
                                             const OnInstallProgress& on_progress,
                                             std::stop_token stop) {
  const auto& pack = entry.pack;
  if (pack.kind != model::PackKind::wheel || !entry.install) {
    return fail(ErrorCode::unsupported,
                "{} is a program of this machine; Berth does not install it", pack.name);
  }
  if (!supports(pack, options_.platform)) {
    return fail(ErrorCode::unsupported, "{} is for {}, and this machine is {}", pack.name,
                fmt::join(pack.platforms, ", "), options_.platform);
  }
  const auto root = packs_folder(options_);
  const auto folder = pack_folder(options_.data_dir, pack);
  const InstallContext context{options_, commands_, on_progress, std::move(stop)};
  if (auto status = current(folder, entry)) return *std::move(status);
  sweep();
  BERTH_TRY(const auto lock,
            wait_for_lock(root, pack.name, options_.lock_timeout, context.stop, [&] {
              context.tell("waiting for another installation of this pack", 0.0);
            }));
  if (auto status = current(folder, entry)) return *std::move(status);
  context.tell("checking what is needed", 0.01);
  BERTH_TRY(const auto python, find_base_python(context, *entry.install));
  if (entry.install->compile) BERTH_CHECK(check_tools(context, *entry.install->compile));
  BERTH_TRY(const auto reserved, reserve_space(context, entry));
  BERTH_TRY(const auto uv, ensure_uv(context, python));
  BERTH_TRY(auto temporary, TemporaryFolder::create(root, pack.name));
  BERTH_TRY(const auto manifest, build_pack(context, entry, python, uv, temporary.path()));
  if (context.stop.stop_requested()) {
    return fail(ErrorCode::cancelled, "the installation of {} was cancelled", pack.name);
  }
  context.tell("putting it in place", 0.95);
  BERTH_CHECK(write_manifest(temporary.path(), manifest));
  BERTH_CHECK(std::move(temporary).move_to(folder));
  remove_leftovers(root, pack.name);  // what an orphan of a killed installation wrote meanwhile
  context.tell("installed", 1.0);
  return installed_status(entry, manifest.size, folder);
}

Result<std::vector<InstalledPack>> Installer::remove(std::string_view name,
                                                     std::string_view version,
                                                     const PackInUse& in_use) {
  auto packs = installed();
  std::erase_if(packs, [&](const InstalledPack& pack) {
    return pack.name != name || (!version.empty() && pack.version != version);
  });
  if (packs.empty()) {
    return fail(ErrorCode::not_found, "no engine pack {}{}{} is installed", name,
                version.empty() ? "" : " ", version);
  }
  auto lock = try_lock(packs_folder(options_), name);
  if (!lock) {
    return fail(std::move(lock).error().context("the engine pack {} is being installed", name));
  }
  for (const auto& pack : packs) {
    if (!in_use || !in_use(pack)) continue;
    return fail(ErrorCode::conflict,
                "the engine pack {} {} is in use; remove the models that run on it first",
                pack.name, pack.version);
  }
  for (const auto& pack : packs) BERTH_CHECK(remove_folder(pack.folder, pack.name));
  return packs;
}

Result<Bytes> Installer::prune(const Catalogue& catalogue, const PackInUse& in_use) {
  Bytes freed;
  sweep();
  for (const auto& pack : installed()) {
    const auto* entry = catalogue.find(pack.name);
    if (entry != nullptr && entry->pack.version == pack.version) continue;
    if (in_use && in_use(pack)) continue;
    const auto lock = try_lock(packs_folder(options_), pack.name);
    if (!lock) continue;  // being installed: the next prune finds it
    BERTH_CHECK(remove_folder(pack.folder, pack.name));
    freed += pack.size;
  }
  // The cache belongs to whatever installs now, so nobody may.
  std::vector<FileLock> locks;
  for (const auto& entry : catalogue.entries) {
    if (entry.pack.kind != model::PackKind::wheel) continue;
    auto lock = try_lock(packs_folder(options_), entry.pack.name);
    if (!lock) {
      return fail(std::move(lock).error().context(
          "the download cache stays, since {} is being installed; try again when it is done",
          entry.pack.name));
    }
    locks.push_back(*std::move(lock));
  }
  for (const auto* name : {"uv", "pip"}) {
    const auto cache = options_.data_dir / "cache" / name;
    const auto size = size_of_folder(cache);
    BERTH_CHECK(remove_all_of(cache));
    freed += size;
  }
  return freed;
}

std::size_t Installer::sweep() {
  return remove_leftovers(packs_folder(options_)) + remove_leftovers(options_.data_dir / "tools");
}

std::vector<InstalledPack> Installer::installed() const {
  std::vector<InstalledPack> packs;
  std::error_code error;
  for (fs::directory_iterator it(packs_folder(options_), error), end; !error && it != end;
       it.increment(error)) {
    if (it->path().filename().string().starts_with('.')) continue;
    const auto manifest = read_manifest(it->path());
    if (!manifest) continue;
    packs.push_back({.name = manifest->pack.name,
                     .version = manifest->pack.version,
                     .folder = it->path(),
                     .size = manifest->size});
  }
  std::ranges::sort(packs, {},
                    [](const InstalledPack& pack) { return std::pair(pack.name, pack.version); });
  return packs;
}

}  // namespace berth::engines
