#include "formats/layout_files.h"

#include "formats/cursor.h"

#include <algorithm>
#include <set>

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

struct Kind {
  std::string_view suffix;
  model::FileFormat format;
};
constexpr Kind kKinds[] = {{.suffix = ".safetensors", .format = model::FileFormat::safetensors},
                           {.suffix = ".bin", .format = model::FileFormat::pytorch}};

// What stands between `head` and `tail` in a name, if it is one word: the variant of a file.
std::string_view variant_of(std::string_view path, std::string_view head, std::string_view tail) {
  if (!path.starts_with(head) || !path.ends_with(tail)) return {};
  if (path.size() <= head.size() + tail.size()) return {};
  const auto word = path.substr(head.size(), path.size() - head.size() - tail.size());
  return word.find_first_of("./-") == word.npos ? word : std::string_view{};
}

// The first file "HEAD" + variant + "TAIL"; null where there is none.
const FileEntry* find_variant(const FileSet& files, std::string_view head, std::string_view tail) {
  const auto& all = files.files();
  const auto found = std::ranges::find_if(
      all, [&](const FileEntry& file) { return !variant_of(file.path, head, tail).empty(); });
  return found == all.end() ? nullptr : &*found;
}

// The files that an index names, each once.
Result<std::vector<FileEntry>> indexed(const FileSet& files, std::string_view folder,
                                       std::string_view index) {
  BERTH_TRY(const auto object, read_json(files, index));
  const json::value* map = object.if_contains("weight_map");
  if (map == nullptr || !map->is_object() || map->get_object().empty()) {
    return fail(ErrorCode::corrupt, "{}: weight_map: it names no files", files.locate(index));
  }
  std::set<std::string> names;
  for (const auto& [tensor, file] : map->get_object()) {
    if (!file.is_string()) {
      return fail(ErrorCode::corrupt, "{}: weight_map: the file of {} is no text",
                  files.locate(index), printable(tensor));
    }
    names.insert(std::string(file.get_string()));
  }
  std::vector<FileEntry> found;
  for (const std::string& name : names) {
    const FileEntry* file = files.find(std::string(folder) + name);
    if (file == nullptr) {
      return fail(ErrorCode::not_found, "{}: weight_map: there is no {}{}", files.locate(index),
                  folder, printable(name, 256));
    }
    found.push_back(*file);
  }
  return found;
}

// The weights of one name and kind.
Result<std::vector<FileEntry>> weights_of_kind(const FileSet& files, std::string_view folder,
                                               std::string_view stem, std::string_view suffix) {
  const std::string base = std::string(folder) + std::string(stem);
  const std::string whole = base + std::string(suffix);
  if (const FileEntry* file = files.find(whole)) return std::vector{*file};
  const std::string index = whole + ".index.json";
  if (files.contains(index)) return indexed(files, folder, index);
  if (const FileEntry* file = find_variant(files, base + ".", suffix)) return std::vector{*file};
  if (const FileEntry* file = find_variant(files, whole + ".index.", ".json")) {
    return indexed(files, folder, file->path);
  }
  return std::vector<FileEntry>{};
}

}  // namespace

std::string folder_name(std::string_view location) {
  const std::string_view last = take_component(location);
  if (take_component(location) == "snapshots") {
    const std::string_view repository = take_component(location);
    const std::size_t name = repository.rfind("--");
    if (repository.starts_with("models--") && name != repository.npos) {
      return printable(repository.substr(name + 2), 256);
    }
  }
  return printable(last, 256);
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

Result<StoredWeights> loaded_weights(const FileSet& files, std::string_view folder,
                                     const std::vector<std::string_view>& stems) {
  for (const Kind& kind : kKinds) {
    for (const std::string_view stem : stems) {
      BERTH_TRY(auto found, weights_of_kind(files, folder, stem, kind.suffix));
      if (!found.empty()) return StoredWeights{.format = kind.format, .files = std::move(found)};
    }
  }
  return StoredWeights{};
}

}  // namespace berth::formats
