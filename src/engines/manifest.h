// PackManifest: `pack.json` in a pack's folder, written last; a folder without it is no
// installation.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "model/engine_pack.h"

#include <filesystem>
#include <string>

namespace berth::engines {

struct PackManifest {
  int format = 1;
  model::EnginePack pack;
  std::string digest;        // of the recipe, see recipe_digest
  std::string installed_at;  // RFC 3339
  Bytes size;                // on disk
};
BOOST_DESCRIBE_STRUCT(PackManifest, (), (format, pack, digest, installed_at, size))

inline constexpr const char* kManifestName = "pack.json";

// Fails with not_found, corrupt, or unsupported (a format of a newer Berth).
Result<PackManifest> read_manifest(const std::filesystem::path& folder);

Result<void> write_manifest(const std::filesystem::path& folder, const PackManifest& manifest);

}  // namespace berth::engines
