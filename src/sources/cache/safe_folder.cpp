#include "sources/cache/safe_folder.h"

#include "base/owned_fd.h"
#include "sources/hub/listing.h"

#include <algorithm>
#include <cerrno>
#include <sys/stat.h>
#include <system_error>

#include <fcntl.h>

namespace berth::sources {

namespace fs = std::filesystem;

namespace {

// Files of a repository and what tools keep beside them; what is beyond is not looked at.
constexpr std::size_t kMostEntries = 4 * kMostHubFiles;

}  // namespace

bool SafeFolder::is_inside(const fs::path& path) const {
  std::error_code error;
  const fs::path root = fs::canonical(root_, error);
  if (error) return false;
  const fs::path real = fs::canonical(path, error);
  if (error) return false;
  const auto [rest, at] = std::mismatch(root.begin(), root.end(), real.begin(), real.end());
  return rest == root.end();
}

std::optional<Bytes> SafeFolder::size_of(const fs::path& path) const {
  std::error_code error;
  if (!fs::is_regular_file(path, error) || !is_inside(path)) return std::nullopt;
  const auto size = fs::file_size(path, error);
  if (error) return std::nullopt;
  return Bytes{size};
}

Bytes SafeFolder::allocated(const fs::path& path) const {
  return size_of(path) ? allocated_size(path) : 0_B;
}

bool SafeFolder::has_folder(const fs::path& path) const {
  std::error_code error;
  return fs::is_directory(path, error) && is_inside(path);
}

Error SafeFolder::write_error(int error, const fs::path& path) const {
  return make_error(ErrorCode::io,
                    "{} can not be written ({}): let this user write there, or name another folder "
                    "with {}",
                    path.string(), std::generic_category().message(error), variable_);
}

Result<void> SafeFolder::make(const fs::path& relative) const {
  std::error_code error;
  fs::create_directories(root_, error);
  if (error) return fail(write_error(error.value(), root_));
  fs::path path = root_;
  for (const auto& component : relative) {
    path /= component;
    if (::mkdir(path.c_str(), 0777) == 0) continue;
    if (errno != EEXIST) return fail(write_error(errno, path));
    if (!fs::is_directory(path, error)) {
      return fail(ErrorCode::conflict, "{} is there and is no folder; move it away", path.string());
    }
    if (!is_inside(path)) {
      return fail(ErrorCode::conflict,
                  "{} leads out of {}, and nothing is written there; make it a folder, or name "
                  "another cache with {}",
                  path.string(), root_.string(), variable_);
    }
  }
  // Else the first to find out would be a download in the middle.
  if (::faccessat(AT_FDCWD, path.c_str(), W_OK | X_OK, AT_EACCESS) != 0) {
    return fail(write_error(errno, path));
  }
  return {};
}

Result<void> SafeFolder::remove(const fs::path& path) const {
  if (!is_inside(path.parent_path())) return {};
  if (::unlink(path.c_str()) == 0 || errno == ENOENT || errno == ENOTDIR) return {};
  return fail_errno(errno, "removing {}", path.string());
}

void SafeFolder::remove_empty(fs::path folder, const fs::path& top) const {
  for (; folder != top && folder.has_relative_path(); folder = folder.parent_path()) {
    if (!is_inside(folder) || ::rmdir(folder.c_str()) != 0) return;
  }
}

void SafeFolder::each_file(const fs::path& folder, const std::function<void(const fs::path&)>& take,
                           const std::function<bool(const fs::path&)>& skip) const {
  if (!has_folder(folder)) return;
  std::error_code error;
  std::size_t count = 0;
  for (fs::recursive_directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    if (++count > kMostEntries) return;
    const fs::path relative = entry->path().lexically_relative(folder);
    std::error_code absent;
    if (entry->is_directory(absent)) {
      if (skip && skip(relative)) entry.disable_recursion_pending();
    } else if (entry->is_regular_file(absent)) {
      take(relative);
    }
  }
}

std::vector<std::string> folders_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    if (names.size() == kMostEntries) break;
    std::error_code absent;
    if (entry->is_directory(absent)) names.push_back(entry->path().filename());
  }
  std::ranges::sort(names);
  return names;
}

Bytes allocated_size(const fs::path& path) {
  constexpr std::uint64_t kBlock = 512;  // stat's, whatever the file system's
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return 0_B;
  return {std::min(static_cast<std::uint64_t>(status.st_size),
                   static_cast<std::uint64_t>(status.st_blocks) * kBlock)};
}

void make_shared_lock(const fs::path& path) {
  // As huggingface_hub's WeakFileLock has it. That it may not work shows when the lock is taken.
  constexpr mode_t kMode = 0664;
  const OwnedFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, kMode));
  if (fd.valid()) ::fchmod(fd.get(), kMode);
}

}  // namespace berth::sources
