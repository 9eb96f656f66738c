#include "formats/layout_files.h"

#include "formats/cursor.h"

namespace berth::formats {
namespace {

// The last component of a path, which loses it and its '/'.
std::string_view take_component(std::string_view& path) {
  while (path.ends_with('/')) path.remove_suffix(1);
  const std::size_t slash = path.rfind('/');
  const std::string_view last = slash == path.npos ? path : path.substr(slash + 1);
  path = slash == path.npos ? std::string_view{} : path.substr(0, slash);
  return last;
}

}  // namespace

std::string repository_name(std::string_view location) {
  constexpr std::string_view kCached = "models--";
  const std::string_view last = take_component(location);
  if (take_component(location) == "snapshots") {
    const std::string_view repository = take_component(location);
    const std::size_t name = repository.find("--", kCached.size());
    if (repository.starts_with(kCached) && name != repository.npos) {
      return printable(
          fmt::format("{}/{}", repository.substr(kCached.size(), name - kCached.size()),
                      repository.substr(name + 2)),
          256);
    }
  }
  return printable(last, 256);
}

std::string folder_name(std::string_view location) {
  const std::string name = repository_name(location);
  return name.substr(name.rfind('/') + 1);
}

std::string_view file_name_of(std::string_view path) { return path.substr(path.rfind('/') + 1); }

std::string_view folder_of(std::string_view path) { return path.substr(0, path.rfind('/') + 1); }

std::string lower_case(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

std::string listed(const std::vector<std::string>& paths) {
  constexpr std::size_t kMost = 8;
  std::string names;
  for (std::size_t i = 0; i < paths.size() && i < kMost; ++i) {
    const std::string_view path = paths[i];
    names += (i == 0 ? "" : ", ") + printable(path.substr(path.rfind('/') + 1));
  }
  if (paths.size() > kMost) names += fmt::format(" and {} more", paths.size() - kMost);
  return names;
}

Result<model::ModelFile> locate_file(const FileSet& files, std::string_view path) {
  const FileEntry* file = files.find(path);
  if (file == nullptr) {
    return fail(ErrorCode::not_found, "{} is not complete: there is no {}", files.name(),
                printable(path, 256));
  }
  return model::ModelFile{.path = files.locate(path), .size = file->size};
}

void add_file(model::ModelProfile& profile, model::ModelFile file) {
  profile.total_size += file.size;
  profile.files.push_back(std::move(file));
}

}  // namespace berth::formats
