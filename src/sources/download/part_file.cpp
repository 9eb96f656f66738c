#include "sources/download/part_file.h"

#include "base/files.h"
#include "base/ids.h"
#include "base/json.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <sys/stat.h>

#include <fcntl.h>
#include <unistd.h>

namespace berth::sources {

namespace fs = std::filesystem;

namespace {

constexpr const char* kFormat = "berth download 1";
constexpr Bytes kLargestJournal = 64_MiB;
constexpr std::size_t kCheckDigits = 12;

Result<OwnedFd> open_file(const fs::path& path, int flags) {
  // Not through a link that somebody put there, and never waiting for a FIFO.
  OwnedFd fd(::open(path.c_str(), flags | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0644));
  if (fd.get() < 0) return fail_errno(errno, "opening {}", path.string());
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
    return fail(ErrorCode::io, "{} is no regular file; move it away", path.string());
  }
  return fd;
}

Result<void> flush(int fd, const fs::path& path) {
  if (::fdatasync(fd) == 0) return {};
  return fail_errno(errno, "flushing {}", path.string());
}

Result<void> flush_folder(const fs::path& folder) {
  const OwnedFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() < 0 || ::fsync(fd.get()) != 0) {
    return fail_errno(errno, "flushing the folder {}", folder.string());
  }
  return {};
}

std::string text_of(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
}

}  // namespace

fs::path part_path(const fs::path& target) { return target.string() + ".part"; }
fs::path journal_path(const fs::path& target) { return target.string() + ".part.journal"; }

PartFile::PartFile(fs::path target, PartIdentity identity)
    : target_(std::move(target)),
      path_(part_path(target_)),
      journal_path_(journal_path(target_)),
      identity_(std::move(identity)) {}

PartFile::PartFile(PartFile&& other) noexcept
    : target_(std::move(other.target_)),
      path_(std::move(other.path_)),
      journal_path_(std::move(other.journal_path_)),
      identity_(std::move(other.identity_)),
      fd_(std::move(other.fd_)),
      journal_(std::move(other.journal_)),
      header_(std::move(other.header_)) {}

Result<PartFile> PartFile::open(const fs::path& target, PartIdentity identity) {
  PartFile part(target, std::move(identity));
  BERTH_TRY(part.fd_, open_file(part.path_, O_RDWR));
  BERTH_TRY(part.journal_, open_file(part.journal_path_, O_RDWR | O_APPEND));
  return part;
}

std::size_t PartFile::chunks() const {
  return (identity_.size.count + identity_.chunk.count - 1) / identity_.chunk.count;
}

std::string PartFile::header(const FileVersion& version) const {
  return to_text(json::object{{"format", kFormat},
                              {"source", identity_.source},
                              {"size", identity_.size.count},
                              {"chunk", identity_.chunk.count},
                              {"etag", version.etag},
                              {"modified", version.modified}}) +
         "\n";
}

std::string PartFile::line(std::size_t index) const {
  const std::string check = sha256_hex(fmt::format("{}{}", header_, index));
  return fmt::format("{} {}\n", index, check.substr(0, kCheckDigits));
}

std::optional<PartResume> PartFile::resume() {
  const auto text = read_file(journal_path_, kLargestJournal);
  if (!text || text->find('\n') == std::string::npos) return std::nullopt;
  const std::string first = text->substr(0, text->find('\n') + 1);
  const auto parsed = parse_json(first);
  if (!parsed || !parsed->is_object()) return std::nullopt;
  const auto& object = parsed->get_object();
  PartResume found{.version = {.size = identity_.size.count,
                               .etag = text_of(object, "etag"),
                               .modified = text_of(object, "modified")},
                   .done = std::vector<bool>(chunks())};
  if (first != header(found.version)) return std::nullopt;
  header_ = first;
  struct stat status{};
  if (::fstat(fd_.get(), &status) != 0) return std::nullopt;
  const auto length = static_cast<std::uint64_t>(status.st_size);
  std::size_t at = first.size();
  while (at < text->size()) {
    std::size_t index = 0;
    const auto* begin = text->data() + at;
    const auto [end, error] = std::from_chars(begin, text->data() + text->size(), index);
    if (error != std::errc() || index >= chunks()) break;
    const std::string expected = line(index);
    if (text->compare(at, expected.size(), expected) != 0) break;
    at += expected.size();
    const std::uint64_t chunk_end =
        std::min((index + 1) * identity_.chunk.count, identity_.size.count);
    if (chunk_end <= length) found.done[index] = true;
  }
  if (at < text->size() && ::ftruncate(journal_.get(), static_cast<off_t>(at)) != 0) {
    return std::nullopt;
  }
  return found;
}

Result<void> PartFile::restart(const std::optional<FileVersion>& version) {
  const std::lock_guard lock(journal_mutex_);
  // The journal first: it must never speak of bytes that are gone.
  if (::ftruncate(journal_.get(), 0) != 0) {
    return fail_errno(errno, "emptying {}", journal_path_.string());
  }
  BERTH_CHECK(flush(journal_.get(), journal_path_));
  if (::ftruncate(fd_.get(), 0) != 0) return fail_errno(errno, "emptying {}", path_.string());
  if (!version) return {};
  header_ = header(*version);
  BERTH_CHECK(write_journal(header_));
  BERTH_CHECK(flush(journal_.get(), journal_path_));
  return flush_folder(target_.parent_path());
}

Error PartFile::write_error(int error, Bytes bytes) const {
  if (error != ENOSPC && error != EDQUOT) {
    return errno_error(error, fmt::format("writing {}", path_.string()));
  }
  struct stat status{};
  Bytes missing = bytes;
  if (::fstat(fd_.get(), &status) == 0) {
    missing = identity_.size - Bytes{static_cast<std::uint64_t>(status.st_blocks) * 512};
  }
  return make_error(
      ErrorCode::unavailable,
      "the {} where {} is, is full, and {} of {} are still to come; make room and try "
      "again: what came is kept",
      error == EDQUOT ? "quota of the file system" : "file system", target_.parent_path().string(),
      missing, target_.filename().string());
}

Result<void> PartFile::write_journal(std::string_view text) {
  while (!text.empty()) {
    const auto count = ::write(journal_.get(), text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail(write_error(errno, {text.size()}));
    text.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

Result<void> PartFile::write_at(std::uint64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const auto count = ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail(write_error(errno, {bytes.size()}));
    offset += static_cast<std::uint64_t>(count);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return {};
}

Result<void> PartFile::read_at(std::uint64_t offset, std::span<std::byte> bytes) const {
  while (!bytes.empty()) {
    const auto count = ::pread(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(errno, "reading {}", path_.string());
    if (count == 0) {
      return fail(ErrorCode::io, "{} was cut by somebody else; try again", path_.string());
    }
    offset += static_cast<std::uint64_t>(count);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return {};
}

Result<void> PartFile::finish_chunk(std::size_t index) {
  if (::fdatasync(fd_.get()) != 0) {
    return fail(write_error(errno, {}));  // a file system may find out late that it is full
  }
  const std::lock_guard lock(journal_mutex_);
  BERTH_CHECK(write_journal(line(index)));
  return flush(journal_.get(), journal_path_);
}

Result<void> PartFile::publish() {
  if (::fsync(fd_.get()) != 0) return fail(write_error(errno, {}));
  if (::rename(path_.c_str(), target_.c_str()) != 0) {
    return fail_errno(errno, "renaming {} to {}", path_.string(), target_.string());
  }
  BERTH_CHECK(flush_folder(target_.parent_path()));
  ::unlink(journal_path_.c_str());
  return {};
}

void PartFile::remove() {
  ::unlink(journal_path_.c_str());
  ::unlink(path_.c_str());
}

}  // namespace berth::sources
