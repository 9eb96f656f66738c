#include "base/data_folder.h"

#include <cerrno>
#include <cstdlib>
#include <sys/stat.h>
#include <system_error>

#include <fcntl.h>
#include <unistd.h>

namespace berth {

Result<DataFolder> find_data_folder(const std::optional<std::string>& given) {
  std::filesystem::path root;
  if (given && !given->empty()) {
    root = *given;
  } else if (const char* data = std::getenv("BERTH_DATA"); data != nullptr && *data != '\0') {
    root = data;
  } else if (const char* home = std::getenv("HOME"); home != nullptr && *home != '\0') {
    root = std::filesystem::path(home) / ".local" / "share" / "berth";
  } else {
    return fail(ErrorCode::invalid_parameter,
                "no data folder: neither BERTH_DATA nor HOME is set; name one with --data");
  }
  std::error_code error;
  root = std::filesystem::absolute(root, error).lexically_normal();
  if (error)
    return fail(ErrorCode::invalid_parameter, "the data folder {} is no path", root.string());
  return DataFolder{.root = std::move(root)};
}

Result<void> create_data_folder(const DataFolder& folder) {
  std::error_code error;
  const bool created = std::filesystem::create_directories(folder.root, error);
  if (error) {
    return fail(ErrorCode::io, "the data folder {} can not be made: {}; name another with --data",
                folder.root.string(), error.message());
  }
  if (created && ::chmod(folder.root.c_str(), 0700) != 0) {
    return fail_errno(errno, "protecting {}", folder.root.string());
  }
  if (::faccessat(AT_FDCWD, folder.root.c_str(), R_OK | W_OK | X_OK, AT_EACCESS) != 0) {
    const int reason = errno;
    const auto remedy = reason == EROFS
                            ? "mount it for writing, or name another folder with --data"
                            : "check its owner and its mode, or name another folder with --data";
    return fail(ErrorCode::io, "the data folder {} can not be written ({}): {}",
                folder.root.string(), std::generic_category().message(reason), remedy);
  }
  return {};
}

}  // namespace berth
