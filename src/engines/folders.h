// The folders of installations: locks among processes, temporary folders that become complete ones
// by a rename, and what is left of interrupted ones.
#pragma once

#include "base/bytes.h"
#include "base/clock.h"
#include "base/files.h"
#include "base/result.h"

#include <filesystem>
#include <functional>
#include <optional>
#include <stop_token>
#include <string_view>

namespace berth::engines {

// Waits for the lock of `name` in `root` ("ROOT/.lock-NAME"); `on_wait` is called once if another
// holds it. Fails with timeout, cancelled or io.
Result<FileLock> wait_for_lock(const std::filesystem::path& root, std::string_view name,
                               Duration timeout, const std::stop_token& stop,
                               const std::function<void()>& on_wait);
// Does not wait: fails with conflict if another holds it.
Result<FileLock> try_lock(const std::filesystem::path& root, std::string_view name);

// "ROOT/.tmp-NAME-…": removed with all that is in it on destruction, unless it was moved into
// place. Only for who holds the lock of NAME.
class TemporaryFolder {
 public:
  static Result<TemporaryFolder> create(const std::filesystem::path& root, std::string_view name);
  TemporaryFolder(TemporaryFolder&& other) noexcept;
  TemporaryFolder& operator=(TemporaryFolder&&) = delete;
  ~TemporaryFolder();

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

  // Flushes the filesystem, then renames to `target` in one step; what was there is removed.
  Result<void> move_to(const std::filesystem::path& target) &&;

 private:
  explicit TemporaryFolder(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;  // empty once moved from
};

// Takes a complete folder out of the way in one step and removes it.
Result<void> remove_folder(const std::filesystem::path& folder, std::string_view name);

// Removes the temporary folders in `root` whose lock nobody holds. `held` is the name whose lock
// the caller holds, if any. Returns how many were removed.
std::size_t remove_leftovers(const std::filesystem::path& root,
                             std::optional<std::string_view> held = {});

// The sum of all files' lengths; what can not be read is left out.
Bytes size_of_folder(const std::filesystem::path& folder);

}  // namespace berth::engines
