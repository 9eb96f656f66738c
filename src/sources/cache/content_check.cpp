#include "sources/cache/content_check.h"

#include "base/files.h"
#include "base/ids.h"
#include "base/regular_file.h"
#include "sources/download/content_hash.h"

#include <algorithm>
#include <sys/stat.h>
#include <vector>

namespace berth::sources {

namespace fs = std::filesystem;

namespace {

constexpr Bytes kBlock = 1_MiB;
constexpr std::string_view kFormat = "berth digest 1";

// What stands in the entry of a file with this digest; empty where the file is not there.
std::string entry_text(const fs::path& path, const model::FileDigest& digest) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return {};
  return fmt::format("{}\n{} {} {}.{:09} {} {}\n", kFormat, status.st_size, status.st_ino,
                     status.st_mtim.tv_sec, status.st_mtim.tv_nsec, static_cast<int>(digest.kind),
                     digest.hex);
}

}  // namespace

fs::path KnownDigests::entry_of(const fs::path& path) const {
  return folder_ / sha256_hex(path.native());
}

bool KnownDigests::knows(const fs::path& path, const model::RepositoryFile& file) const {
  if (file.digest.kind == model::DigestKind::none) return true;
  if (folder_.empty()) return false;
  const auto entry = read_file(entry_of(path), 4_KiB);
  return entry && !entry->empty() && *entry == entry_text(path, file.digest);
}

void KnownDigests::remember(const fs::path& path, const model::FileDigest& digest) const {
  if (folder_.empty() || digest.kind == model::DigestKind::none) return;
  std::error_code error;
  fs::create_directories(folder_, error);
  // Without an entry the file is read again.
  if (!error) std::ignore = write_file_atomic(entry_of(path), entry_text(path, digest));
}

void KnownDigests::forget(const fs::path& path) const {
  std::error_code error;
  if (!folder_.empty()) fs::remove(entry_of(path), error);
}

Result<bool> ContentCheck::matches(const fs::path& path, const model::RepositoryFile& file) {
  if (known_.knows(path, file)) return true;
  BERTH_TRY(auto hash, ContentHash::begin(file.digest.kind, file.size));
  auto opened = RegularFile::open(path);
  if (!opened || opened->size() != file.size) return false;
  std::vector<std::byte> buffer(std::min(kBlock, file.size).count);
  Bytes read;
  while (read < file.size) {
    if (stop_.stop_requested()) {
      return fail(ErrorCode::cancelled, "stopped while {} was read", path.string());
    }
    const auto part = std::span(buffer).first(std::min(kBlock, file.size - read).count);
    if (!opened->read_at(read.count, part)) return false;
    hash.add(part);
    read += Bytes{part.size()};
    if (on_read_) on_read_(file, read);
  }
  if (hash.finish() != file.digest.hex) return false;
  known_.remember(path, file.digest);
  return true;
}

}  // namespace berth::sources
