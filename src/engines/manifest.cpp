#include "engines/manifest.h"

#include "base/files.h"

namespace berth::engines {

Result<PackManifest> read_manifest(const std::filesystem::path& folder) {
  const auto path = folder / kManifestName;
  BERTH_TRY(const auto text, read_file(path, 1_MiB));
  const auto corrupt = [&](Error error) {
    error.code = ErrorCode::corrupt;
    return fail(std::move(error).context("{} is damaged", path.string()));
  };
  const auto value = parse_json(text);
  if (!value) return corrupt(value.error());
  auto manifest = from_json<PackManifest>(*value, UnknownMembers::ignore);
  if (!manifest) return corrupt(manifest.error());
  if (manifest->format != 1) {
    return fail(ErrorCode::unsupported, "{} is of format {}, written by a newer Berth",
                path.string(), manifest->format);
  }
  return manifest;
}

Result<void> write_manifest(const std::filesystem::path& folder, const PackManifest& manifest) {
  return write_file_atomic(folder / kManifestName, to_pretty_text(to_json(manifest)));
}

}  // namespace berth::engines
