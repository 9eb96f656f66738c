// The steps of one installation, inside this module. Each checks for cancellation, reports what it
// does and leaves nothing behind when it fails.
#pragma once

#include "engines/install_environment.h"
#include "engines/installer.h"
#include "engines/manifest.h"

#include <filesystem>
#include <stop_token>
#include <string>
#include <vector>

namespace berth::engines {

// What the steps of one installation share.
struct InstallContext {
  const InstallerOptions& options;
  CommandRunner& commands;
  OnInstallProgress on_progress;
  std::stop_token stop;

  void tell(std::string step, double fraction) const;
  // Runs a command to its end; its output moves the step, not the fraction. `what` names it in
  // errors: "installing the packages". Fails with io and its last lines if it exits with another
  // code than 0.
  [[nodiscard]] Result<std::string> run(std::string_view what, std::vector<std::string> argv,
                                        const Environment& environment,
                                        const std::filesystem::path& directory,
                                        double fraction) const;
};

// The interpreter that environments are made from.
struct BasePython {
  std::string program;  // absolute
  std::string version;  // "3.11"
};
// Fails with unavailable if python3 or its venv module is missing, or its version does not fit the
// recipe; the message says what to install.
Result<BasePython> find_base_python(const InstallContext& context, const InstallRecipe& recipe);

// Fails with unavailable if less than 5 % of the disk would stay free.
Result<SpaceReservation> reserve_space(const InstallContext& context, const CatalogueEntry& entry);

// uv, with what it needs to know of the user's settings.
struct Uv {
  std::string program;
  std::vector<std::string> flags;
  Environment environment;
};
// Makes "$BERTH_DATA/tools/uv" if it is not there or from another lock file.
Result<Uv> ensure_uv(const InstallContext& context, const BasePython& python);

// Installs the packages of a lock file, which is named below `folder`, into the environment of the
// pack there. `flags` are uv's own.
Result<void> install_packages(const InstallContext& context, std::string_view what, const Uv& uv,
                              const std::filesystem::path& folder, const std::string& lock,
                              const std::vector<std::string>& flags, double fraction);

// Puts the pack together in `folder`, up to its manifest.
Result<PackManifest> build_pack(const InstallContext& context, const CatalogueEntry& entry,
                                const BasePython& python, const Uv& uv,
                                const std::filesystem::path& folder);

}  // namespace berth::engines
