// PartFile: the bytes of a file that is being downloaded, and the journal of which of them are
// there for good. Internal to sources/download.
#pragma once

#include "base/bytes.h"
#include "base/owned_fd.h"
#include "sources/range_sink.h"

#include <cstddef>
#include <filesystem>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace berth::sources {

// Of which download a part is.
struct PartIdentity {
  std::string source;  // what stands for the content: its digest, else the address and the commit
  Bytes size;
  Bytes chunk;
};

// What an earlier download left.
struct PartResume {
  FileVersion version;
  std::vector<bool> done;  // by chunk
};

// The file "NAME.part" with the journal "NAME.part.journal" beside it. The journal is a line of
// JSON, which says of what the part is, then a line for each finished chunk: its number, and a
// check that no other journal's or damaged line passes. A line is written after the chunk's bytes
// are on the disk, so that it is true after a loss of power too.
//
// The owner of the download's lock uses it. `write_at`, `read_at` and `finish_chunk` are
// thread-safe among themselves.
class PartFile {
 public:
  // Opens the part of `target`, or makes it. Fails with io, also where a symbolic link or anything
  // else that is no file stands in its place.
  static Result<PartFile> open(const std::filesystem::path& target, PartIdentity identity);

  PartFile(PartFile&& other) noexcept;
  PartFile& operator=(PartFile&&) = delete;
  PartFile(const PartFile&) = delete;
  PartFile& operator=(const PartFile&) = delete;
  ~PartFile() = default;

  // What the journal tells, once: nothing where there is none, it is of another file, or damaged. A
  // damaged end is cut off; chunks that the part is too short for are left out.
  std::optional<PartResume> resume();
  // Forgets all that is there; the journal begins anew where `version` is given.
  Result<void> restart(const std::optional<FileVersion>& version);

  // A full disk is unavailable, and names the file system's folder and what is missing.
  Result<void> write_at(std::uint64_t offset, std::span<const std::byte> bytes);
  Result<void> read_at(std::uint64_t offset, std::span<std::byte> bytes) const;
  // Puts the chunk's bytes on the disk, then into the journal.
  Result<void> finish_chunk(std::size_t index);

  // Gives the file its name, for good, and removes the journal.
  Result<void> publish();
  // Removes part and journal.
  void remove();

 private:
  PartFile(std::filesystem::path target, PartIdentity identity);

  [[nodiscard]] std::string header(const FileVersion& version) const;
  [[nodiscard]] std::string line(std::size_t index) const;
  [[nodiscard]] std::size_t chunks() const;
  Result<void> write_journal(std::string_view text);
  [[nodiscard]] Error write_error(int error, Bytes bytes) const;

  std::filesystem::path target_;
  std::filesystem::path path_;
  std::filesystem::path journal_path_;
  PartIdentity identity_;
  OwnedFd fd_;
  OwnedFd journal_;
  std::string header_;  // of the journal that is open
  std::mutex journal_mutex_;
};

// Where the parts of `target` are.
std::filesystem::path part_path(const std::filesystem::path& target);
std::filesystem::path journal_path(const std::filesystem::path& target);

}  // namespace berth::sources
