// Installer: puts packs of kind `wheel` into $BERTH_DATA/packs, whole or not at all, and removes
// them. See README.md for the steps.
#pragma once

#include "base/clock.h"
#include "base/space.h"
#include "engines/catalogue.h"
#include "engines/commands.h"
#include "engines/progress.h"

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

namespace berth::engines {

// The content of engines/uv/requirements.lock.
std::string_view shipped_uv_lock();
struct InstallerOptions {
  std::filesystem::path data_dir;
  std::map<std::string, std::string> environment;  // the caller's; see install_environment.h
  std::string platform{this_platform()};
  std::string uv_lock{shipped_uv_lock()};  // requirements of uv itself, with hashes
  // Room on the filesystem of a folder.
  std::shared_ptr<SpaceLedger> space;                // null: process_space()
  Duration lock_timeout = std::chrono::minutes(30);  // for another installation of the same pack
  Duration step_timeout = std::chrono::minutes(20);  // for one command
};

// An installation that can be removed.
struct InstalledPack {
  std::string name;
  std::string version;
  std::filesystem::path folder;
  Bytes size;
};
// Whether an engine runs from this installation.
using PackInUse = std::function<bool(const InstalledPack&)>;

// All calls block (an installation for seconds to minutes) and are thread-safe, among processes
// too: each pack has a lock, so that however many ask, one installs and the others wait for it.
class Installer {
 public:
  // `commands` must outlive the installer.
  explicit Installer(InstallerOptions options, CommandRunner& commands = real_commands());

  // Installs `entry`, or returns at once if it is installed already from the same recipe. On
  // failure nothing is left behind. Fails with unsupported (not for this platform, or not of kind
  // wheel), unavailable (python3, its venv module or disk space is missing; says what to do),
  // cancelled, timeout, or io (a command failed; its last lines are the cause).
  Result<model::PackStatus> install(const CatalogueEntry& entry,
                                    const OnInstallProgress& on_progress = {},
                                    std::stop_token stop = {});

  // Removes every installed version of the pack, or only `version`. Fails with not_found, or with
  // conflict if one is in use (then none is removed) or being installed.
  Result<std::vector<InstalledPack>> remove(std::string_view name, std::string_view version,
                                            const PackInUse& in_use);

  // Removes versions that `catalogue` does not have any more and nobody uses, leftovers, and the
  // download cache. Returns how much was freed, about.
  Result<Bytes> prune(const Catalogue& catalogue, const PackInUse& in_use);

  // Removes what interrupted installations left. Called by `install`; call it at start too. Returns
  // how many leftovers were removed.
  std::size_t sweep();

  // Every complete installation, sorted by name and version.
  [[nodiscard]] std::vector<InstalledPack> installed() const;

 private:
  InstallerOptions options_;
  CommandRunner& commands_;
};

}  // namespace berth::engines
