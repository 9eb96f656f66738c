#include "formats/profile.h"

#include "formats/audio_layout.h"
#include "formats/cursor.h"
#include "formats/diffusion_layout.h"
#include "formats/gguf_parts.h"
#include "formats/hugging_face.h"
#include "formats/layout_files.h"
#include "formats/projector.h"
#include "formats/read_once.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <utility>

namespace berth::formats {
namespace {

namespace fs = std::filesystem;

// The profile of the model that `first` at `path` is, or is a part of.
Result<model::ModelProfile> profile_gguf(const FileSet& files, std::string_view path,
                                         GgufPart first, const FileSet* above) {
  BERTH_TRY(const auto parts, read_parts(files, path, std::move(first)));
  auto profile = profile_of(parts);
  if (!profile) {
    Error error = std::move(profile).error();
    error.message = fmt::format("{}: {}", files.locate(path), error.message);
    return fail(std::move(error));
  }
  if (profile->name.empty()) {
    const auto split = parse_split_name(path);
    const fs::path stem = split ? fs::path(split->stem).filename() : fs::path(path).stem();
    profile->name = printable(stem.native(), 256);
  }
  add_projectors(*profile, files, path, above);
  return profile;
}

// A name of what is no GGUF file for sure, so that it need not be opened to be told.
bool is_other_format(std::string_view path) {
  constexpr auto kOthers = std::to_array<std::string_view>(
      {".safetensors", ".json", ".jinja", ".md", ".txt", ".py", ".yaml", ".onnx"});
  return std::ranges::any_of(kOthers, [&](std::string_view end) { return path.ends_with(end); });
}

// The GGUF files of a folder, told by content; of a split model the part that is there first.
// `deep`: also those in the folders inside.
std::vector<std::string> gguf_files(const FileSet& files, bool deep) {
  std::vector<std::string> found;
  std::map<std::string, std::string> splits;  // by stem and count
  for (const auto& file : files.files()) {
    if ((!deep && file.path.find('/') != std::string::npos) || is_other_format(file.path)) continue;
    auto source = files.open(file.path);
    if (!source || !looks_like_gguf(**source)) continue;
    if (const auto name = parse_split_name(file.path); name && name->count > 1) {
      splits.try_emplace(fmt::format("{}/{}", name->stem, name->count), file.path);
    } else {
      found.push_back(file.path);
    }
  }
  for (auto& [key, path] : splits) found.push_back(std::move(path));
  std::ranges::sort(found);
  return found;
}

// The same as is_companion_name says, of what is in the file.
bool is_companion(const GgufPart& part) {
  const GgufMetadata& metadata = part.file.metadata;
  const std::string_view type = find_string(metadata, "general.type");
  return find_string(metadata, "general.architecture") == "clip" || type == "adapter" ||
         type == "imatrix";
}

// The one model among a folder's GGUF files.
Result<model::ModelProfile> profile_gguf_folder(const FileSet& files,
                                                const std::vector<std::string>& found,
                                                const FileSet* above) {
  std::vector<std::string> models;
  std::optional<Result<GgufPart>> first;
  for (const std::string& path : found) {
    if (is_companion_name(path)) continue;
    auto part = read_part(files, path);
    if (part && is_companion(*part)) continue;
    models.push_back(path);
    if (!first) first = std::move(part);
  }
  if (models.empty()) {
    return fail(ErrorCode::unsupported,
                "{} holds only projectors or adapters ({}), which go with another model",
                files.name(), found.front());
  }
  if (models.size() > 1) {
    return fail(ErrorCode::invalid_parameter, "{} holds {} models, name one of them: {}",
                files.name(), models.size(), listed(models));
  }
  BERTH_TRY(auto part, *std::move(first));
  return profile_gguf(files, models.front(), std::move(part), above);
}

// A checkpoint of an image model, or a file that says too little alone.
Result<model::ModelProfile> profile_other_file(const FileSet& files, std::string_view path,
                                               ByteSource& source) {
  const std::string place = files.locate(path);
  BERTH_TRY(auto image, profile_diffusion_file(source, place));
  if (image) return *std::move(image);
  if (files.contains("config.json")) {
    return fail(ErrorCode::invalid_parameter,
                "{} is a part of the model in its folder; name the folder: {}", place,
                files.name());
  }
  BERTH_TRY(auto part, read_part(files, path));  // which says what is wrong with it
  return profile_gguf(files, path, std::move(part), nullptr);
}

Result<model::ModelProfile> profile_file(const FileSet& files, std::string_view path,
                                         const FileSet* above) {
  BERTH_TRY(const auto source, files.open(path));
  if (!looks_like_gguf(*source)) return profile_other_file(files, path, *source);
  BERTH_TRY(auto part, read_part(files, path));
  return profile_gguf(files, path, std::move(part), above);
}

// The folder above another, where its files are; nothing for the topmost.
std::unique_ptr<FileSet> list_above(const fs::path& folder) {
  return folder == folder.parent_path() ? nullptr : list_around(folder.parent_path());
}

}  // namespace

bool is_companion_name(std::string_view path) {
  const std::string name = lower_case(file_name_of(path));
  return name.find("mmproj") != std::string::npos || name.starts_with("mtp-");
}

Result<model::ModelProfile> profile_files(const FileSet& all, const FileSet* above) {
  const auto once = read_once(all);
  const FileSet& files = *once;
  // The particular layouts first: some have a config.json or GGUF files as well.
  for (const auto layout : {profile_audio, profile_diffusion}) {
    BERTH_TRY(auto profile, layout(files));
    if (profile) return *std::move(profile);
  }
  const auto found = gguf_files(files, above == nullptr);
  if (!found.empty()) return profile_gguf_folder(files, found, above);
  BERTH_TRY(auto profile, profile_hugging_face(files));
  if (profile) return *std::move(profile);
  return fail(
      ErrorCode::unsupported,
      "{} holds no model that Berth knows: no GGUF file, no config.json, and no layout of a "
      "speech or image model",
      files.name());
}

Result<model::ModelProfile> profile_path(const fs::path& path) {
  std::error_code error;
  const fs::path absolute = fs::absolute(path, error).lexically_normal();
  if (error) return fail_errno(error.value(), "finding {}", path.native());
  if (fs::is_directory(absolute, error)) {
    BERTH_TRY(const auto files, list_folder(absolute));
    return profile_files(*files, list_above(absolute).get());
  }
  const fs::path folder = absolute.parent_path();
  const auto around = list_around(folder);
  return profile_file(*read_once(*around), absolute.filename().native(), list_above(folder).get());
}

}  // namespace berth::formats
