// The steps of an installation that compile a package which comes as source only.
#pragma once

#include "engines/install_steps.h"

#include <filesystem>

namespace berth::engines {

// Fails with unavailable if a tool of the build is not there; the message says what to install.
Result<void> check_tools(const InstallContext& context, const CompileRecipe& recipe);

// Builds the package of the pack in `folder`, whose environment and files are there, and installs
// it. What only the build needs is removed again. Takes minutes, and all of the processor.
Result<void> compile_package(const InstallContext& context, const CatalogueEntry& entry,
                             const Uv& uv, const std::filesystem::path& folder);

}  // namespace berth::engines
