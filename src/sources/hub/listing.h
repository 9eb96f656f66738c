// HubListing: what a repository of a hub holds at one revision.
#pragma once

#include "base/bytes.h"
#include "model/repository_files.h"
#include "sources/hub/name.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace berth::sources {

// Refuses to list more: no model has as many files.
inline constexpr std::size_t kMostHubFiles = 20'000;

using model::DigestKind;
using HubDigest = model::FileDigest;

struct HubFile {
  std::string path;  // in the repository, checked by is_repository_path
  Bytes size;
  HubDigest digest;
  std::string url;  // of its content at the listing's commit, where the hub can say so

  friend bool operator==(const HubFile&, const HubFile&) = default;
};

// A value; free to copy. Nothing in it is secret.
struct HubListing {
  HubName name;        // as it was asked for
  std::string commit;  // that the revision resolved to; the manifest's SHA-256 for Ollama; empty
                       // where the hub does not say
  std::vector<HubFile> files;  // sorted by path, each once

  // Null where there is none.
  [[nodiscard]] const HubFile* find(std::string_view path) const {
    const auto found = std::ranges::lower_bound(files, path, {}, &HubFile::path);
    return found != files.end() && found->path == path ? &*found : nullptr;
  }
};

}  // namespace berth::sources
