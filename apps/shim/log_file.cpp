#include "log_file.h"

#include <cerrno>
#include <cstdio>
#include <sys/stat.h>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace berth::shim {

LogFile::LogFile(std::string path, std::uint64_t limit)
    : path_(std::move(path)), old_path_(path_ + ".1"), limit_(limit) {
  open();
}

LogFile::~LogFile() {
  if (fd_ >= 0) ::close(fd_);
}

void LogFile::open() {
  fd_ = ::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
  struct stat status{};
  size_ = fd_ >= 0 && ::fstat(fd_, &status) == 0 ? static_cast<std::uint64_t>(status.st_size) : 0;
}

void LogFile::rotate() {
  if (std::rename(path_.c_str(), old_path_.c_str()) != 0) {
    // The bound matters more than the old lines.
    if (::ftruncate(fd_, 0) == 0) size_ = 0;
    return;
  }
  ::close(fd_);
  open();
}

void LogFile::append(const char* data, std::size_t size) {
  if (fd_ < 0) open();  // the folder may be back
  if (fd_ >= 0 && size_ > 0 && size_ + size > limit_) rotate();
  while (size > 0 && fd_ >= 0) {
    const ssize_t n = ::write(fd_, data, size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    data += n;
    size -= static_cast<std::size_t>(n);
    size_ += static_cast<std::uint64_t>(n);
  }
  dropped_ += size;
}

}  // namespace berth::shim
