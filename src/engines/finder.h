// Which engine packs this machine has: programs on PATH, configured ones, installed ones, and those
// that could be installed.
#pragma once

#include "engines/catalogue.h"
#include "engines/commands.h"

#include <filesystem>
#include <string>
#include <vector>

namespace berth::engines {

struct FindOptions {
  std::filesystem::path data_dir;
  std::string search_path;                           // the PATH to look for `system` packs on
  std::string platform{this_platform()};             // packs of others are left out
  Duration probe_timeout = std::chrono::seconds(5);  // for one program's --version
};

struct FoundPacks {
  // In order of preference: path, system, installed wheels, available wheels; by name among equals.
  // A configured program that is not there, or an installation that is broken, is listed as
  // `failed` with its reason.
  std::vector<model::PackStatus> packs;
  std::vector<std::string> warnings;  // sentences, such as a program that does not tell its version
};

// Blocking: reads a few small files and runs one short command per program found on PATH.
FoundPacks find_packs(const Catalogue& catalogue, const FindOptions& options,
                      CommandRunner& commands = real_commands());

// The folder of an installation: "$BERTH_DATA/packs/NAME-VERSION".
std::filesystem::path pack_folder(const std::filesystem::path& data_dir,
                                  const model::EnginePack& pack);

}  // namespace berth::engines
