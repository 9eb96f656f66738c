#include "engines/finder.h"

#include "engines/manifest.h"
#include "engines/runtime.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <unistd.h>

namespace berth::engines {

namespace fs = std::filesystem;

namespace {

using model::PackKind;
using model::PackState;
using model::PackStatus;

bool is_program(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error) && ::access(path.c_str(), X_OK) == 0;
}

std::optional<fs::path> look_up(std::string_view name, std::string_view search_path) {
  while (!search_path.empty()) {
    const auto colon = search_path.find(':');
    const fs::path folder(search_path.substr(0, colon));
    if (folder.is_absolute() && is_program(folder / name)) return folder / name;
    if (colon == std::string_view::npos) break;
    search_path.remove_prefix(colon + 1);
  }
  return std::nullopt;
}

// The number behind `before` in `text`, with `prefix` in front; empty if there is none.
std::string build_in(std::string_view text, const VersionProbe& probe) {
  const auto found = text.find(probe.before);
  if (found == std::string_view::npos) return {};
  const auto rest = text.substr(found + probe.before.size());
  const auto end = std::min(rest.find_first_not_of("0123456789."), rest.size());
  return end == 0 ? std::string() : probe.prefix + std::string(rest.substr(0, end));
}

// Learns the build of a program that Berth did not install. What goes wrong is only a warning: the
// program may well serve models.
void probe_build(PackStatus& status, const VersionProbe& probe, const FindOptions& options,
                 CommandRunner& commands, std::vector<std::string>& warnings) {
  process::SpawnOptions spawn;
  spawn.argv = status.pack.program;
  spawn.argv.insert(spawn.argv.end(), probe.arguments.begin(), probe.arguments.end());
  const auto warn = [&](std::string_view what) {
    warnings.push_back(
        fmt::format("{} {}; its build is not known", fmt::join(spawn.argv, " "), what));
  };
  const auto output = commands.run(spawn, {.timeout = options.probe_timeout, .output = 64_KiB}, {});
  if (!output) {
    warn(fmt::format("failed ({})", output.error().to_string()));
  } else if (!output->ok()) {
    warn(output->signal != 0 ? fmt::format("was ended by signal {}", output->signal)
                             : fmt::format("ended with exit code {}", output->exit_code));
  } else {
    // llama-server writes its version to standard error.
    auto build = build_in(output->standard_output, probe);
    if (build.empty()) build = build_in(output->standard_error, probe);
    if (build.empty()) return warn("does not tell its version");
    status.pack.build = std::move(build);
  }
}

std::optional<PackStatus> find_program(const CatalogueEntry& entry, const FindOptions& options,
                                       CommandRunner& commands,
                                       std::vector<std::string>& warnings) {
  PackStatus status{.pack = entry.pack, .state = PackState::installed};
  auto& program = status.pack.program.front();
  if (entry.pack.kind == PackKind::system) {
    const auto found = look_up(program, options.search_path);
    if (!found) return std::nullopt;
    program = found->string();
  } else if (!is_program(program)) {
    status.state = PackState::failed;
    status.reason = fmt::format("{} is no program (configured in {})", program, entry.source);
    return status;
  }
  status.folder = fs::path(program).parent_path().string();
  if (entry.probe && status.pack.build.empty()) {
    probe_build(status, *entry.probe, options, commands, warnings);
  }
  return status;
}

PackStatus status_of_installation(const fs::path& folder, const CatalogueEntry& entry,
                                  PackManifest manifest, std::vector<std::string>& warnings) {
  PackStatus status{.pack = std::move(manifest.pack),
                    .state = PackState::installed,
                    .folder = folder.string(),
                    .size = manifest.size};
  const auto again = fmt::format("`berth engines install {}` puts it right", entry.pack.name);
  if (!is_program(pack_python(folder))) {
    status.state = PackState::failed;
    status.reason =
        fmt::format("its Python interpreter is gone from {}; {}", folder.string(), again);
  } else if (manifest.digest != recipe_digest(entry)) {
    status.outdated = true;
    warnings.push_back(fmt::format("the engine pack {} {} was installed by another Berth; {}",
                                   entry.pack.name, entry.pack.version, again));
  } else {
    status.pack = entry.pack;  // the same installation, in the words of this version
  }
  return status;
}

PackStatus find_wheel(const CatalogueEntry& entry, const FindOptions& options,
                      std::vector<std::string>& warnings) {
  const auto folder = pack_folder(options.data_dir, entry.pack);
  auto manifest = read_manifest(folder);
  if (manifest) {
    return status_of_installation(folder, entry, *std::move(manifest), warnings);
  }
  PackStatus status{.pack = entry.pack};
  if (manifest.error().code != ErrorCode::not_found) {
    status.state = PackState::failed;
    status.folder = folder.string();
    status.reason = manifest.error().to_string();
  }
  return status;
}

int preference(const PackStatus& status) {
  switch (status.pack.kind) {
    case PackKind::path:
      return 0;
    case PackKind::system:
      return 1;
    case PackKind::wheel:
      break;
  }
  // Where both are there, the compiled one can more; to install, the one that is there in seconds.
  if (status.state == PackState::installed) return status.pack.compiled ? 2 : 3;
  return status.pack.compiled ? 5 : 4;
}

}  // namespace

FoundPacks find_packs(const Catalogue& catalogue, const FindOptions& options,
                      CommandRunner& commands) {
  FoundPacks found;
  for (const auto& entry : catalogue.entries) {
    if (!supports(entry.pack, options.platform)) continue;
    if (entry.pack.kind == PackKind::wheel) {
      found.packs.push_back(find_wheel(entry, options, found.warnings));
    } else if (auto status = find_program(entry, options, commands, found.warnings)) {
      found.packs.push_back(*std::move(status));
    }
  }
  std::ranges::sort(found.packs, {}, [](const PackStatus& status) {
    return std::pair(preference(status), status.pack.name);
  });
  return found;
}

fs::path pack_folder(const fs::path& data_dir, const model::EnginePack& pack) {
  return data_dir / "packs" / fmt::format("{}-{}", pack.name, pack.version);
}

}  // namespace berth::engines
