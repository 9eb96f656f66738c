// Models on this machine: what the user wrote becomes an absolute path, and files are identified.
#pragma once

#include "base/describe.h"
#include "base/result.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace berth::sources {

// The absolute, lexically normal path that `text` names: a path (relative ones are taken from
// `cwd`, which must be absolute) or a `file:` URL ("file:/m/a.gguf", "file:///m/a.gguf",
// "file://localhost/…", with %XX escapes). Does not look at the disk; `~` is not expanded.
// Fails with invalid_parameter (field "source"), also for the names of models on hubs (hub/name.h),
// or unsupported for models at web addresses, which are for looking at only (remote_profile.h).
Result<std::filesystem::path> normalise_source(std::string_view text,
                                               const std::filesystem::path& cwd);

// What a deployment may name: a model on a hub, in its usual form ("hf:org/name:Q4_K_M"), or a path
// as above. Fails as parse_hub_name and normalise_source.
Result<std::string> normalise_model(std::string_view text, const std::filesystem::path& cwd);

// What two machines compare to know that they hold the same file, without reading all of it.
struct FileIdentity {
  Bytes size;
  std::int64_t mtime = 0;     // nanoseconds since 1970; differs between machines, not compared
  std::string header_sha256;  // of the first 64 KiB (or the whole file, if shorter), lower-case hex

  // Same content as far as it can be told: size and header.
  [[nodiscard]] bool same_content(const FileIdentity& other) const {
    return size == other.size && header_sha256 == other.header_sha256;
  }
};
BOOST_DESCRIBE_STRUCT(FileIdentity, (), (size, mtime, header_sha256))

// Identifies a regular file; never waits on a FIFO or device. Fails with not_found,
// permission_denied, invalid_parameter or io. Blocking; thread-safe.
Result<FileIdentity> identify_file(const std::filesystem::path& path);

}  // namespace berth::sources
