#include "log_file.h"

#include <cerrno>
#include <cstdio>
#include <ctime>
#include <sys/stat.h>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace berth::shim {
namespace {

constexpr int kAppend = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW;
constexpr std::int64_t kBetweenTimes = 1000;  // milliseconds

}  // namespace

LogFile::LogFile(std::string path, std::uint64_t limit)
    : path_(std::move(path)), old_path_(path_ + ".1"), limit_(limit) {
  open();
}

LogFile::~LogFile() {
  if (fd_ >= 0) ::close(fd_);
  if (times_fd_ >= 0) ::close(times_fd_);
}

void LogFile::open() {
  fd_ = ::open(path_.c_str(), kAppend, 0640);
  struct stat status{};
  const bool known = fd_ >= 0 && ::fstat(fd_, &status) == 0;
  size_ = known ? static_cast<std::uint64_t>(status.st_size) : 0;
  is_file_ = known && S_ISREG(status.st_mode);
}

// The time of what is written next. Without it the log is as good, but for --since.
void LogFile::note_time() {
  if (!is_file_) return;
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  const std::int64_t at = static_cast<std::int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1'000'000;
  if (at >= noted_at_ && at - noted_at_ < kBetweenTimes) return;
  if (times_fd_ < 0) times_fd_ = ::open((path_ + ".times").c_str(), kAppend, 0640);
  char line[48];
  const int length = std::snprintf(line, sizeof line, "%lld %llu\n", static_cast<long long>(at),
                                   static_cast<unsigned long long>(size_));
  const auto size = static_cast<std::size_t>(length);
  if (times_fd_ >= 0 && ::write(times_fd_, line, size) == length) noted_at_ = at;
}

void LogFile::rotate() {
  noted_at_ = 0;
  if (times_fd_ >= 0 && ::ftruncate(times_fd_, 0) != 0) ::close(std::exchange(times_fd_, -1));
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
  note_time();
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
