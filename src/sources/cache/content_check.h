// Whether a file that somebody else put somewhere is the one that it should be: by reading it,
// once. Internal to sources/cache.
#pragma once

#include "base/result.h"
#include "model/repository_files.h"

#include <filesystem>
#include <functional>
#include <stop_token>

namespace berth::sources {

// What was found out of files on this machine, each in a small file of its own in a folder of
// Berth's. It holds as long as the file keeps its size, inode and time of change. A value; several
// processes may use one folder.
class KnownDigests {
 public:
  // Empty: knows nothing, remembers nothing.
  explicit KnownDigests(std::filesystem::path folder) : folder_(std::move(folder)) {}

  // Whether the file at `path` is known to be `file`. One without a digest is where its size is
  // right.
  [[nodiscard]] bool knows(const std::filesystem::path& path,
                           const model::RepositoryFile& file) const;
  // That the file at `path` has this digest. A folder that can not be written forgets.
  void remember(const std::filesystem::path& path, const model::FileDigest& digest) const;
  void forget(const std::filesystem::path& path) const;

 private:
  [[nodiscard]] std::filesystem::path entry_of(const std::filesystem::path& path) const;

  std::filesystem::path folder_;
};

// Reads what is not known. Not thread-safe.
class ContentCheck {
 public:
  using OnRead = std::function<void(const model::RepositoryFile& file, Bytes read)>;

  ContentCheck(KnownDigests known, std::stop_token stop, OnRead on_read)
      : known_(std::move(known)), stop_(std::move(stop)), on_read_(std::move(on_read)) {}

  [[nodiscard]] const KnownDigests& known() const { return known_; }

  // Whether the file at `path`, which has the size, is `file`; one that can not be read is not.
  // Fails with cancelled, and with internal where there is no such digest.
  Result<bool> matches(const std::filesystem::path& path, const model::RepositoryFile& file);

 private:
  KnownDigests known_;
  std::stop_token stop_;
  OnRead on_read_;
};

}  // namespace berth::sources
