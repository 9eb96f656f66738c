#include "model/files_status.h"

#include "base/clock.h"
#include "base/ids.h"

namespace berth::model {
namespace {

constexpr std::size_t kKeyLength = 16;

}  // namespace

std::string files_key(const RepositoryFiles& files) {
  std::string all =
      fmt::format("{}\n{}\n{}\n", enum_name(files.hub), files.repository, files.commit);
  for (const auto& file : files.files) {
    all += fmt::format("{}\n{}\n{}\n", file.path, file.size.count, file.digest.hex);
  }
  return sha256_hex(all).substr(0, kKeyLength);
}

bool is_files_key(std::string_view text) {
  return text.size() == kKeyLength &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::string file_request_name(const std::string& worker, const RepositoryFiles& files) {
  return fmt::format("{}.{}", worker, files_key(files));
}

std::string describe(const FilesStatus& status) {
  if (status.state != FilesState::downloading && status.state != FilesState::verifying) {
    const std::string text(enum_name(status.state));
    return status.reason.empty() ? text : fmt::format("{}: {}", text, status.reason);
  }
  std::string text = status.state == FilesState::verifying ? "verifying " : "";
  if (!status.file.empty()) text += status.file + ": ";
  text += fmt::format("{} of {}", status.done, status.total);
  if (!status.from.empty()) text += fmt::format(" from {}", status.from);
  if (status.per_second.count > 0) text += fmt::format(", {}/s", status.per_second);
  if (status.seconds_left) {
    text += fmt::format(", {} left", duration_text(std::chrono::seconds(*status.seconds_left)));
  }
  return text;
}

}  // namespace berth::model
