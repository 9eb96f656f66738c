#include "sources/local_model.h"

#include "formats/cursor.h"
#include "formats/gguf_parts.h"
#include "formats/profile.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/ranges.h>
#include <fnmatch.h>

namespace berth::sources {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostEntries = 100'000;  // of all folders that one glob looks into
constexpr std::size_t kMostListed = 10;

template <class... Args>
tl::unexpected<Error> refuse(ErrorCode code, fmt::format_string<Args...> format, Args&&... args) {
  return fail(make_error(code, format, std::forward<Args>(args)...).with_field("source"));
}

// A name that can stand in messages and in JSON as it is.
bool is_printable(const std::string& name) { return formats::printable(name, name.size()) == name; }

// What one glob matches, one part of its path after another.
class Search {
 public:
  explicit Search(const fs::path& glob) : glob_(glob) {}

  Result<std::vector<fs::path>> find() {
    std::vector<fs::path> found = {glob_.root_path()};
    for (const fs::path& part : glob_.relative_path()) {
      std::vector<fs::path> next;
      for (const fs::path& folder : found) BERTH_CHECK(step(folder, part, next));
      found = std::move(next);
    }
    std::erase_if(found, [](const fs::path& path) {
      std::error_code error;
      const auto type = fs::status(path, error).type();
      return type != fs::file_type::regular && type != fs::file_type::directory;
    });
    std::ranges::sort(found);
    if (found.empty() && unread_) {
      return fail(std::move(*unread_)
                      .context("nothing that matches {} was found", glob_.native())
                      .with_field("source"));
    }
    return found;
  }

 private:
  // Adds to `found` what `part` is in `folder`.
  Result<void> step(const fs::path& folder, const fs::path& part, std::vector<fs::path>& found) {
    std::error_code error;
    if (fs::exists(fs::symlink_status(folder / part, error))) {
      found.push_back(folder / part);
      return {};
    }
    if (is_glob(part.native())) return list(folder, part, found);
    note(folder, error);
    return {};
  }

  Result<void> list(const fs::path& folder, const fs::path& pattern, std::vector<fs::path>& found) {
    std::error_code error;
    for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
         entry.increment(error)) {
      if (++seen_ > kMostEntries) {
        return refuse(ErrorCode::too_large,
                      "more than {} files and folders were looked at for {}; name the model more "
                      "closely",
                      kMostEntries, glob_.native());
      }
      const fs::path name = entry->path().filename();
      if (::fnmatch(pattern.c_str(), name.c_str(), FNM_PERIOD | FNM_NOESCAPE) == 0 &&
          is_printable(name.native())) {
        found.push_back(folder / name);
      }
    }
    note(folder, error);
    return {};
  }

  // Remembers a folder that could not be read; what is no folder is just no match.
  void note(const fs::path& folder, std::error_code error) {
    const bool is_absent =
        error == std::errc::not_a_directory || error == std::errc::no_such_file_or_directory;
    if (!error || is_absent) return;
    unread_ = errno_error(error.value(), fmt::format("reading the folder {}", folder.native()));
    if (error == std::errc::permission_denied) unread_->code = ErrorCode::permission_denied;
  }

  const fs::path& glob_;
  std::size_t seen_ = 0;
  std::optional<Error> unread_;  // of a folder
};

// Of each split model the first part only; `paths` are sorted, and so are the parts of one.
std::vector<std::string> models_among(const std::vector<fs::path>& paths) {
  std::vector<std::string> models;
  std::map<std::pair<std::string, std::uint32_t>, std::string> splits;  // by stem and count
  models.reserve(paths.size());
  for (const fs::path& path : paths) {
    const auto split = formats::parse_split_name(path.native());
    const bool is_new =
        !split || splits.try_emplace({split->stem, split->count}, path.native()).second;
    if (is_new) models.push_back(path.native());
  }
  const auto goes_with_another = [](const std::string& path) {
    return formats::is_companion_name(path);
  };
  if (!std::ranges::all_of(models, goes_with_another)) std::erase_if(models, goes_with_another);
  return models;
}

}  // namespace

bool is_glob(std::string_view path) { return path.find_first_of("*?[") != std::string_view::npos; }

Result<fs::path> resolve_glob(const fs::path& path) {
  if (!is_glob(path.native())) return path;
  BERTH_TRY(const auto found, Search(path).find());
  auto models = models_among(found);
  if (models.empty()) {
    return refuse(ErrorCode::not_found, "no file or folder matches {}", path.native());
  }
  if (models.size() == 1) return fs::path(std::move(models.front()));
  const std::size_t count = models.size();
  models.resize(std::min(count, kMostListed));
  std::string text = fmt::format("{}", fmt::join(models, ", "));
  if (count > kMostListed) text += fmt::format(" and {} more", count - kMostListed);
  return refuse(ErrorCode::invalid_parameter, "{} matches {} models, name one of them: {}",
                path.native(), count, text);
}

Result<LocalModel> profile_local(const fs::path& path) {
  BERTH_TRY(const fs::path found, resolve_glob(path));
  BERTH_TRY(auto profile, formats::profile_path(found));
  return LocalModel{.path = found.native(), .profile = std::move(profile)};
}

}  // namespace berth::sources
