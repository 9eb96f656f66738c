// From a pack on this machine to the command line that starts its program. Pure.
#pragma once

#include "base/result.h"
#include "model/engine_pack.h"

#include <filesystem>
#include <string>
#include <vector>

namespace berth::engines {

// argv in front of an engine's flags: `program` of the pack with {pack} and {python} filled in;
// argv[0] is absolute. Fails with conflict if the pack is not installed, with invalid_parameter on
// another placeholder.
Result<std::vector<std::string>> program_argv(const model::PackStatus& status);

// The same for a folder that need not be complete yet.
Result<std::vector<std::string>> substitute(const std::vector<std::string>& argv,
                                            const std::filesystem::path& folder);

// The interpreter of a pack that is installed in `folder`: what {python} stands for.
std::filesystem::path pack_python(const std::filesystem::path& folder);

}  // namespace berth::engines
