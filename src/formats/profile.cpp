#include "formats/profile.h"

#include "formats/audio_layout.h"
#include "formats/cursor.h"
#include "formats/diffusion_layout.h"
#include "formats/file_set.h"
#include "formats/hugging_face.h"
#include "formats/layout_files.h"
#include "formats/projector.h"
#include "formats/split_name.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <optional>
#include <utility>

namespace berth::formats {
namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t kMaxParts = 10'000;

std::string_view file_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

// The path of another part, in the same folder as `path`.
std::string part_path(std::string_view path, const SplitName& name, std::uint32_t number) {
  return fmt::format("{}{}-{:05}-of-{:05}.gguf",
                     path.substr(0, path.size() - file_name(path).size()), name.stem, number,
                     name.count);
}

Result<GgufPart> read_part(const FileSet& files, std::string_view path) {
  BERTH_TRY(auto source, files.open(path));
  const std::string place = files.locate(path);
  BERTH_TRY(auto file, read_gguf(*source, place));
  return GgufPart{.path = place, .file = std::move(file)};
}

// The other parts of a split model; `first` is any of them. In order.
Result<std::vector<GgufPart>> read_parts(const FileSet& files, std::string_view path,
                                         GgufPart first) {
  const auto count = find_number(first.file.metadata, "split.count").value_or(1);
  std::vector<GgufPart> parts;
  if (count <= 1) {
    parts.push_back(std::move(first));
    return parts;
  }
  const std::string given_place = first.path;
  const auto name = parse_split_name(file_name(path));
  if (count > kMaxParts || !name || name->count != count) {
    return fail(ErrorCode::corrupt,
                "{}: split.count says that this is one of {} parts, and parts are found by name: "
                "call it NAME-00001-of-{:05}.gguf, and the others likewise",
                given_place, count, count);
  }
  std::optional<GgufPart> given = std::move(first);
  for (std::uint32_t number = 1; number <= count; ++number) {
    const std::string place = part_path(path, *name, number);
    if (number == name->number && given) {
      parts.push_back(*std::exchange(given, std::nullopt));
    } else {
      auto part = read_part(files, place);
      if (!part && part.error().code == ErrorCode::not_found) {
        return fail(ErrorCode::not_found, "{}: part {} of {} is missing: there is no {}",
                    given_place, number, count, files.locate(place));
      }
      if (!part) return fail(std::move(part).error());
      parts.push_back(*std::move(part));
    }
    const GgufMetadata& metadata = parts.back().file.metadata;
    if (find_number(metadata, "split.no") != number - 1 ||
        find_number(metadata, "split.count") != count) {
      return fail(ErrorCode::corrupt,
                  "{}: split.no: its name says part {} of {}, its content says otherwise",
                  files.locate(place), number, count);
    }
  }
  if (const auto total = find_number(parts.front().file.metadata, "split.tensors.count")) {
    std::uint64_t sum = 0;
    for (const GgufPart& part : parts) sum += part.file.tensors.size();
    if (sum != *total) {
      return fail(ErrorCode::corrupt,
                  "{}: split.tensors.count: the parts hold {} tensors of {}: they are not all of "
                  "one model",
                  given_place, sum, *total);
    }
  }
  return parts;
}

// Of the GGUF model in `path`, without its companions.
Result<model::ModelProfile> profile_gguf(const FileSet& files, std::string_view path) {
  BERTH_TRY(auto first, read_part(files, path));
  BERTH_TRY(const auto parts, read_parts(files, path, std::move(first)));
  auto profile = profile_of(parts);
  if (!profile) {
    Error error = std::move(profile).error();
    error.message = fmt::format("{}: {}", files.locate(path), error.message);
    return fail(std::move(error));
  }
  if (profile->name.empty()) {
    const auto name = file_name(path);
    const auto split = parse_split_name(name);
    profile->name = printable(split ? split->stem : fs::path(name).stem().native(), 256);
  }
  return profile;
}

// A file of this machine.
Result<model::ModelProfile> profile_file(const fs::path& path) {
  const auto folder = unlisted_folder(path.parent_path());
  BERTH_TRY(auto profile, profile_gguf(*folder, path.filename().native()));
  add_projectors(profile, path);
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
  std::map<std::string, std::string> splits;  // by folder, stem and count
  for (const auto& file : files.files()) {
    if ((!deep && file.path.find('/') != std::string::npos) || is_other_format(file.path)) continue;
    auto source = files.open(file.path);
    if (!source || !looks_like_gguf(**source)) continue;
    if (const auto name = parse_split_name(file_name(file.path)); name && name->count > 1) {
      auto& first = splits[part_path(file.path, *name, 0)];
      if (first.empty() || file.path < first) first = file.path;
    } else {
      found.push_back(file.path);
    }
  }
  for (auto& [key, path] : splits) found.push_back(std::move(path));
  std::ranges::sort(found);
  return found;
}

// Whether a file goes with another model (projector, adapter, draft heads) and is none itself.
bool is_companion(const FileSet& files, const std::string& path) {
  std::string name(file_name(path));
  std::ranges::transform(name, name.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (name.find("mmproj") != std::string::npos || name.starts_with("mtp-")) return true;
  const auto part = read_part(files, path);
  if (!part) return false;
  const GgufMetadata& metadata = part->file.metadata;
  const std::string_view type = find_string(metadata, "general.type");
  return find_string(metadata, "general.architecture") == "clip" || type == "adapter" ||
         type == "imatrix";
}

// The path of the one model among a folder's GGUF files.
Result<std::string> only_model(const FileSet& files, const std::vector<std::string>& found) {
  std::vector<std::string> models;
  std::ranges::copy_if(found, std::back_inserter(models),
                       [&](const std::string& path) { return !is_companion(files, path); });
  if (models.empty()) {
    return fail(ErrorCode::unsupported,
                "{} holds only projectors or adapters ({}), which go with another model",
                files.name(), file_name(found.front()));
  }
  if (models.size() == 1) return models.front();
  return fail(ErrorCode::invalid_parameter, "{} holds {} models, name one of them: {}",
              files.name(), models.size(), listed(models));
}

// What is no GGUF model. The particular layouts first: some have a config.json as well.
Result<std::optional<model::ModelProfile>> profile_particular(const FileSet& files) {
  for (const auto layout : {profile_audio, profile_diffusion}) {
    BERTH_TRY(auto profile, layout(files));
    if (profile) return profile;
  }
  return std::nullopt;
}

Result<model::ModelProfile> profile_other_layout(const FileSet& files) {
  BERTH_TRY(auto profile, profile_hugging_face(files));
  if (profile) return *std::move(profile);
  return fail(
      ErrorCode::unsupported,
      "{} holds no model that Berth knows: no GGUF file, no config.json, and no layout of a "
      "speech or image model",
      files.name());
}

Result<model::ModelProfile> profile_folder(const fs::path& folder) {
  BERTH_TRY(const auto files, list_folder(folder));
  BERTH_TRY(auto particular, profile_particular(*files));
  if (particular) return *std::move(particular);
  const auto found = gguf_files(*files, false);
  if (found.empty()) return profile_other_layout(*files);
  BERTH_TRY(const auto path, only_model(*files, found));
  return profile_file(folder / path);
}

// A checkpoint of an image model, or a file that says too little alone.
Result<model::ModelProfile> profile_other_file(const fs::path& path) {
  BERTH_TRY(const auto source, open_file(path));
  BERTH_TRY(auto image, profile_diffusion_file(*source, path.native()));
  if (image) return *std::move(image);
  std::error_code ignored;
  const fs::path folder = path.parent_path();
  if (fs::exists(folder / "config.json", ignored)) {
    return fail(ErrorCode::invalid_parameter,
                "{} is a part of the model in its folder; name the folder: {}", path.native(),
                folder.native());
  }
  return profile_file(path);  // which says what is wrong with it
}

}  // namespace

Result<model::ModelProfile> profile_path(const fs::path& path) {
  std::error_code error;
  const fs::path absolute = fs::absolute(path, error).lexically_normal();
  if (error) return fail_errno(error.value(), "finding {}", path.native());
  if (fs::is_directory(absolute, error)) return profile_folder(absolute);
  BERTH_TRY(const auto source, open_file(absolute));
  return looks_like_gguf(*source) ? profile_file(absolute) : profile_other_file(absolute);
}

Result<model::ModelProfile> profile_files(const FileSet& files) {
  BERTH_TRY(auto particular, profile_particular(files));
  if (particular) return *std::move(particular);
  const auto found = gguf_files(files, true);
  if (found.empty()) return profile_other_layout(files);
  BERTH_TRY(const auto path, only_model(files, found));
  BERTH_TRY(auto profile, profile_gguf(files, path));
  add_projectors(profile, files, path);
  return profile;
}

}  // namespace berth::formats
