// What lies below a folder that the user named, and nothing that links lead to elsewhere: the names
// come from hubs, and others than us write there. Internal to sources/cache.
#pragma once

#include "base/bytes.h"
#include "base/result.h"

#include <filesystem>
#include <functional>
#include <optional>
#include <string_view>

namespace berth::sources {

// A folder as a whole may be a link; `root` stands for what it leads to.
class SafeFolder {
 public:
  // `variable` says where it is, for messages: "HF_HUB_CACHE".
  SafeFolder(std::filesystem::path root, std::string_view variable)
      : root_(std::move(root)), variable_(variable) {}

  [[nodiscard]] const std::filesystem::path& root() const { return root_; }

  // The size of the regular file that `path` is, with all links followed; nothing where there is
  // none, or not below the root.
  [[nodiscard]] std::optional<Bytes> size_of(const std::filesystem::path& path) const;
  // What `path` takes on the disk, if it is a regular file below the root.
  [[nodiscard]] Bytes allocated(const std::filesystem::path& path) const;
  // Whether `path` is a folder below the root, with all links followed.
  [[nodiscard]] bool has_folder(const std::filesystem::path& path) const;

  // Makes `relative` and all above it; others may do the same at the same time. Fails with io where
  // that can not be written (naming the variable), with conflict where something else is in the
  // way, or a link that leads out.
  Result<void> make(const std::filesystem::path& relative) const;
  // Removes a file or a link, not what it leads to. Not being there is no error. Fails with io.
  Result<void> remove(const std::filesystem::path& path) const;
  // Removes `folder` and those above it below `top`, as long as they are empty.
  void remove_empty(std::filesystem::path folder, const std::filesystem::path& top) const;

  // Calls `take` for each file and link to one below `folder`, with the path from there. Folders
  // that are links, or that `skip` names, are not entered. An order is not promised.
  void each_file(
      const std::filesystem::path& folder,
      const std::function<void(const std::filesystem::path& relative)>& take,
      const std::function<bool(const std::filesystem::path& relative)>& skip = nullptr) const;

  [[nodiscard]] Error write_error(int error, const std::filesystem::path& path) const;

 private:
  [[nodiscard]] bool is_inside(const std::filesystem::path& path) const;

  std::filesystem::path root_;
  std::string_view variable_;
};

// The names of the folders in `folder`, sorted; those that are links too.
std::vector<std::string> folders_in(const std::filesystem::path& folder);

// What a regular file takes on the disk: less than its size where it has holes, as parts of
// downloads do. Nothing where it is a link or not there.
Bytes allocated_size(const std::filesystem::path& path);

// Makes the lock file that other users' tools take as well, where it is not there.
void make_shared_lock(const std::filesystem::path& path);

}  // namespace berth::sources
