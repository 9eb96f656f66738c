// The engine packs that Berth knows: the descriptors (TOML) shipped under engines/, which are part
// of the program, and those of the user in $BERTH_DATA/engines.d/*.toml. Pure but for reading
// files.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "model/engine_pack.h"

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace berth::engines {

// A shared library that a pack expects from the system.
struct SystemLibrary {
  std::string soname;  // "libgomp.so.1"
  std::string apt;     // the Debian package that has it
};
BOOST_DESCRIBE_STRUCT(SystemLibrary, (), (soname, apt))

// A program that compiling needs.
struct BuildTool {
  std::string program;  // looked up on PATH: "c++"
  std::string apt;      // the Debian package that has it
};
BOOST_DESCRIBE_STRUCT(BuildTool, (), (program, apt))

// How a package that comes as source only is compiled.
struct CompileRecipe {
  std::string requirements;  // the lock file of what the build needs: every package with hashes
  // For the build; {pack} as in EnginePack::program, {cores} for this machine's number of cores.
  std::map<std::string, std::string> environment;
  std::vector<BuildTool> tools;
  Bytes scratch;  // on disk while it is compiled, about
};
BOOST_DESCRIBE_STRUCT(CompileRecipe, (), (requirements, environment, tools, scratch))

// How a pack of kind `wheel` is put together. Files are named relative to the descriptor.
struct InstallRecipe {
  std::string requirements;         // the lock file: every package with version and hashes
  std::vector<std::string> files;   // copied into the pack's folder: "launcher.py"
  std::vector<std::string> finish;  // argv that completes the installation; empty = nothing to do.
                                    // {pack} and {python} as in EnginePack::program
  std::vector<std::string> check;   // argv that must exit with 0 once all is in place
  std::string python;               // versions of the interpreter that will do: ">=3.10,<3.15"
  Bytes download;                   // about
  Bytes installed;                  // on disk, about
  std::vector<SystemLibrary> system_libraries;
  std::optional<CompileRecipe> compile;  // absent: wheels are there for all packages
};
BOOST_DESCRIBE_STRUCT(InstallRecipe, (),
                      (requirements, files, finish, check, python, download, installed,
                       system_libraries, compile))

// How the build of a program that Berth did not install is learnt.
struct VersionProbe {
  std::vector<std::string> arguments;  // behind the program: "--version"
  std::string before;                  // the build number stands behind this text: "version: "
  std::string prefix;                  // put in front of the number: "b"
};
BOOST_DESCRIBE_STRUCT(VersionProbe, (), (arguments, before, prefix))

// One descriptor. A value.
struct CatalogueEntry {
  model::EnginePack pack;
  std::optional<InstallRecipe> install;      // kind `wheel` only
  std::optional<VersionProbe> probe;         // kinds `system` and `path`
  std::string source;                        // the descriptor's file, for messages
  std::map<std::string, std::string> files;  // what the recipe names: path → content
};

struct Catalogue {
  std::vector<CatalogueEntry> entries;  // in the order shipped, then the user's by file name
  // Null if no pack has this name.
  [[nodiscard]] const CatalogueEntry* find(std::string_view name) const;
};

// The shipped packs and those in `data_dir`/engines.d (which may be absent). Fails on the first bad
// descriptor and on a name that is used twice (already_exists).
Result<Catalogue> load_catalogue(const std::filesystem::path& data_dir);

// Stands for all that an installation is made of (version, lock files, files, how it is compiled):
// the same digest, the same pack. Lower-case hexadecimal.
std::string recipe_digest(const CatalogueEntry& entry);

// "linux/amd64", as descriptors name this machine.
std::string_view this_platform();
// Whether `pack` can run on `platform`.
bool supports(const model::EnginePack& pack, std::string_view platform);

}  // namespace berth::engines
