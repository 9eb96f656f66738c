#include "base/files.h"

#include "base/ids.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <sys/file.h>
#include <sys/stat.h>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace berth {
namespace {

// What is being written is named "NAME.ID.tmp".
constexpr std::string_view kTemporary = ".tmp";
constexpr std::size_t kTemporaryId = 6;

// A descriptor that closes itself.
struct Fd {
  int value = -1;
  explicit Fd(int fd) : value(fd) {}
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() {
    if (value >= 0) ::close(value);
  }
};

Result<void> write_all(int fd, std::string_view content, const std::filesystem::path& path) {
  while (!content.empty()) {
    const ssize_t n = ::write(fd, content.data(), content.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno(errno, "writing {}", path.string());
    content.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

}  // namespace

Result<std::string> read_file(const std::filesystem::path& path, Bytes limit) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.value < 0) {
    const int error = errno;
    auto failure = errno_error(error, fmt::format("reading {}", path.string()));
    if (error == ENOENT) failure.code = ErrorCode::not_found;
    return fail(std::move(failure));
  }
  std::string content;
  std::string buffer(64 << 10, '\0');
  for (;;) {
    const ssize_t n = ::read(fd.value, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno(errno, "reading {}", path.string());
    if (n == 0) return content;
    content.append(buffer.data(), static_cast<std::size_t>(n));
    if (content.size() > limit.count) {
      return fail(ErrorCode::too_large, "{} is larger than {}", path.string(), limit);
    }
  }
}

Result<std::string> read_word(const std::filesystem::path& path) {
  auto text = read_file(path, 4_KiB);
  if (text) text->erase(text->find_last_not_of(" \r\n\t") + 1);
  return text;
}

Result<void> create_private_folder(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (!error) std::filesystem::permissions(path, std::filesystem::perms::owner_all, error);
  if (error) return fail(ErrorCode::io, "making {}: {}", path.string(), error.message());
  return {};
}

Result<void> write_file_atomic(const std::filesystem::path& path, std::string_view content,
                               mode_t mode) {
  const std::filesystem::path temporary =
      fmt::format("{}.{}{}", path.string(), random_id(kTemporaryId), kTemporary);
  auto written = [&]() -> Result<void> {
    const Fd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
    if (fd.value < 0) return fail_errno(errno, "creating {}", temporary.string());
    BERTH_CHECK(write_all(fd.value, content, temporary));
    if (::fsync(fd.value) != 0) return fail_errno(errno, "flushing {}", temporary.string());
    if (::rename(temporary.c_str(), path.c_str()) != 0) {
      return fail_errno(errno, "renaming {} to {}", temporary.string(), path.string());
    }
    return {};
  }();
  if (!written) ::unlink(temporary.c_str());
  return written;
}

void remove_unfinished_writes(const std::filesystem::path& folder) {
  constexpr std::size_t kLongest = kTemporary.size() + kTemporaryId + 1;
  const auto long_ago = std::filesystem::file_time_type::clock::now() - std::chrono::minutes(1);
  std::error_code error;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename();
    const bool temporary =
        name.size() > kLongest && name.ends_with(kTemporary) && name[name.size() - kLongest] == '.';
    std::error_code absent;
    if (!temporary || entry->last_write_time(absent) > long_ago || absent) continue;
    std::filesystem::remove(entry->path(), absent);
  }
}

std::string read_last_lines(const std::filesystem::path& path, std::size_t lines, Bytes limit,
                            std::optional<Bytes> end) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.value < 0) return {};
  off_t size = ::lseek(fd.value, 0, SEEK_END);
  if (end) size = std::min(size, static_cast<off_t>(end->count));
  if (size <= 0) return {};
  const auto length = std::min<std::uint64_t>(static_cast<std::uint64_t>(size), limit.count);
  std::string tail(length, '\0');
  const ssize_t n = ::pread(fd.value, tail.data(), length, size - static_cast<off_t>(length));
  if (n <= 0) return {};
  tail.resize(static_cast<std::size_t>(n));
  std::size_t start = tail.size();
  if (start > 0 && tail[start - 1] == '\n') --start;
  for (std::size_t found = 0; start > 0; --start) {
    if (tail[start - 1] == '\n' && ++found == lines) break;
  }
  return tail.substr(start);
}

Result<FileLock> FileLock::try_acquire(const std::filesystem::path& path) {
  // Not through a link: it could lead to where others want a file to be made.
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0 && errno == ELOOP) {
    return fail(ErrorCode::io, "{} is a symbolic link; move it away", path.string());
  }
  if (fd < 0) return fail_errno(errno, "opening the lock {}", path.string());
  FileLock lock(fd);
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) {
      return fail(ErrorCode::conflict, "{} is locked by another process", path.string());
    }
    return fail_errno(errno, "locking {}", path.string());
  }
  return lock;
}

FileLock& FileLock::operator=(FileLock&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

FileLock::~FileLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace berth
