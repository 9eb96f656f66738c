#include "engines/folders.h"

#include "base/ids.h"

#include <chrono>
#include <cstdio>
#include <thread>

#include <fcntl.h>
#include <unistd.h>

namespace berth::engines {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kTemporary = ".tmp-";

fs::path lock_path(const fs::path& root, std::string_view name) {
  return root / fmt::format(".lock-{}", name);
}

fs::path temporary_path(const fs::path& root, std::string_view name) {
  return root / fmt::format("{}{}-{}", kTemporary, name, random_id(8));
}

Result<void> make_folder(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) return fail_errno(error.value(), "making the folder {}", path.string());
  return {};
}

// Flushes what belongs to `folder`: all of its filesystem, or only its own entries.
Result<void> flush(const fs::path& folder, bool whole_filesystem) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return fail_errno(errno, "opening {}", folder.string());
  const int result = whole_filesystem ? ::syncfs(fd) : ::fsync(fd);
  const int error = errno;
  ::close(fd);
  if (result != 0) return fail_errno(error, "flushing {}", folder.string());
  return {};
}

bool remove_tree(const fs::path& path) {
  // Again, should an orphan of a killed installation still be writing there.
  constexpr int kAttempts = 3;
  std::error_code error;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    fs::remove_all(path, error);
    if (!error) return true;
  }
  return false;
}

}  // namespace

Result<FileLock> try_lock(const fs::path& root, std::string_view name) {
  BERTH_CHECK(make_folder(root));
  return FileLock::try_acquire(lock_path(root, name));
}

Result<FileLock> wait_for_lock(const fs::path& root, std::string_view name, Duration timeout,
                               const std::stop_token& stop, const std::function<void()>& on_wait) {
  // flock has no deadline of its own, so look again and again.
  constexpr auto kPause = std::chrono::milliseconds(50);
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  bool told = false;
  while (true) {
    auto lock = try_lock(root, name);
    if (lock || lock.error().code != ErrorCode::conflict) return lock;
    if (!told && on_wait) on_wait();
    told = true;
    if (stop.stop_requested()) {
      return fail(ErrorCode::cancelled, "cancelled while another installation of {} was running",
                  name);
    }
    if (std::chrono::steady_clock::now() >= deadline) {
      return fail(ErrorCode::timeout, "another installation of {} is still running", name);
    }
    std::this_thread::sleep_for(kPause);
  }
}

Result<TemporaryFolder> TemporaryFolder::create(const fs::path& root, std::string_view name) {
  auto path = temporary_path(root, name);
  BERTH_CHECK(make_folder(path));
  return TemporaryFolder(std::move(path));
}

TemporaryFolder::TemporaryFolder(TemporaryFolder&& other) noexcept : path_(std::move(other.path_)) {
  other.path_.clear();
}

TemporaryFolder::~TemporaryFolder() {
  if (!path_.empty()) remove_tree(path_);
}

Result<void> TemporaryFolder::move_to(const fs::path& target) && {
  BERTH_CHECK(flush(path_, true));
  if (::renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, target.c_str(), RENAME_NOREPLACE) == 0) {
    path_.clear();
  } else if (errno != EEXIST ||
             ::renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, target.c_str(), RENAME_EXCHANGE) != 0) {
    return fail_errno(errno, "renaming {} to {}", path_.string(), target.string());
  }
  return flush(target.parent_path(), false);  // after an exchange, the destructor removes the old
}

Result<void> remove_folder(const fs::path& folder, std::string_view name) {
  const auto away = temporary_path(folder.parent_path(), name);
  std::error_code error;
  fs::rename(folder, away, error);
  if (error) return fail_errno(error.value(), "removing {}", folder.string());
  remove_tree(away);  // what stays is a leftover, removed later
  return {};
}

std::size_t remove_leftovers(const fs::path& root, std::optional<std::string_view> held) {
  std::vector<fs::path> leftovers;
  std::error_code error;
  for (fs::directory_iterator it(root, error), end; !error && it != end; it.increment(error)) {
    if (it->path().filename().string().starts_with(kTemporary)) leftovers.push_back(it->path());
  }
  std::size_t removed = 0;
  for (const auto& path : leftovers) {
    const auto file = path.filename().string();
    const auto dash = file.rfind('-');
    if (dash < kTemporary.size()) continue;
    const auto name = file.substr(kTemporary.size(), dash - kTemporary.size());
    std::optional<FileLock> lock;
    if (held != name) {
      auto acquired = try_lock(root, name);
      if (!acquired) continue;
      lock.emplace(*std::move(acquired));
    }
    if (remove_tree(path)) ++removed;
  }
  return removed;
}

Bytes size_of_folder(const fs::path& folder) {
  Bytes size;
  std::error_code error;
  fs::recursive_directory_iterator it(folder, error);
  for (const fs::recursive_directory_iterator end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    if (it->is_symlink(ignored) || !it->is_regular_file(ignored)) continue;
    const auto length = it->file_size(ignored);
    if (!ignored) size += Bytes{length};
  }
  return size;
}

}  // namespace berth::engines
