#include "base/regular_file.h"

#include <cerrno>
#include <sys/stat.h>

#include <fcntl.h>
#include <unistd.h>

namespace berth {
namespace {

Error open_error(int error_number, const std::string& path) {
  switch (error_number) {
    case ENOENT:
    case ENOTDIR:
      return make_error(ErrorCode::not_found, "{} does not exist on this machine", path);
    case EACCES:
    case EPERM:
      return make_error(ErrorCode::permission_denied, "{} may not be read by this user", path);
    default:
      return errno_error(error_number, "opening " + path);
  }
}

// What stands in the way of reading; empty for a regular file.
std::string_view obstacle(mode_t mode) {
  if (S_ISREG(mode)) return {};
  if (S_ISDIR(mode)) return "a folder";
  if (S_ISFIFO(mode)) return "a FIFO";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

}  // namespace

Result<RegularFile> RegularFile::open(const std::filesystem::path& path) {
  const std::string& text = path.native();
  if (text.find('\0') != std::string::npos) {
    return fail(ErrorCode::invalid_parameter, "a path may not contain a NUL character");
  }
  // Looked at before it is opened, since opening a device can have effects; and again after.
  struct stat info{};
  if (::stat(text.c_str(), &info) != 0) return fail(open_error(errno, text));
  if (const auto what = obstacle(info.st_mode); !what.empty()) {
    return fail(ErrorCode::invalid_parameter, "{} is {}, not a file", text, what);
  }
  const int fd = ::open(text.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
  if (fd < 0) return fail(open_error(errno, text));
  RegularFile file(fd, text);
  if (::fstat(fd, &info) != 0) return fail_errno(errno, "looking at {}", text);
  if (const auto what = obstacle(info.st_mode); !what.empty()) {
    return fail(ErrorCode::invalid_parameter, "{} is {}, not a file", text, what);
  }
  file.size_ = {static_cast<std::uint64_t>(info.st_size)};
  file.mtime_ =
      static_cast<std::int64_t>(info.st_mtim.tv_sec) * 1'000'000'000 + info.st_mtim.tv_nsec;
  return file;
}

RegularFile& RegularFile::operator=(RegularFile&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(path_, other.path_);
  size_ = other.size_;
  mtime_ = other.mtime_;
  return *this;
}

RegularFile::~RegularFile() {
  if (fd_ >= 0) ::close(fd_);
}

Result<void> RegularFile::read_at(std::uint64_t offset, std::span<std::byte> buffer) const {
  while (!buffer.empty()) {
    const ssize_t count = ::pread(fd_, buffer.data(), buffer.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(errno, "reading {}", path_);
    if (count == 0) return fail(ErrorCode::io, "{} became shorter while it was read", path_);
    offset += static_cast<std::uint64_t>(count);
    buffer = buffer.subspan(static_cast<std::size_t>(count));
  }
  return {};
}

}  // namespace berth
