#include "formats/profile.h"

#include "formats/audio_layout.h"
#include "formats/cursor.h"
#include "formats/diffusion_layout.h"
#include "formats/file_set.h"
#include "formats/hugging_face.h"
#include "formats/layout_files.h"
#include "formats/projector.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

namespace berth::formats {
namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t kMaxParts = 10'000;

// "model-00002-of-00005.gguf" taken apart.
struct SplitName {
  std::string stem;  // "model"
  std::uint32_t number = 0;
  std::uint32_t count = 0;
};

std::optional<std::uint32_t> five_digits(std::string_view text) {
  std::uint32_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<std::uint32_t>(c - '0');
  }
  return value;
}

std::optional<SplitName> parse_split_name(std::string_view name) {
  constexpr std::string_view kTail = "-00001-of-00001.gguf";
  if (name.size() <= kTail.size() || !name.ends_with(".gguf")) return std::nullopt;
  const std::string_view tail = name.substr(name.size() - kTail.size());
  const auto number = five_digits(tail.substr(1, 5));
  const auto count = five_digits(tail.substr(10, 5));
  if (tail[0] != '-' || tail.substr(6, 4) != "-of-" || !number || !count) return std::nullopt;
  if (*number == 0 || *number > *count) return std::nullopt;
  return SplitName{.stem = std::string(name.substr(0, name.size() - kTail.size())),
                   .number = *number,
                   .count = *count};
}

fs::path part_path(const fs::path& folder, const SplitName& name, std::uint32_t number) {
  return folder / fmt::format("{}-{:05}-of-{:05}.gguf", name.stem, number, name.count);
}

Result<GgufPart> read_part(const fs::path& path) {
  BERTH_TRY(auto source, open_file(path));
  BERTH_TRY(auto file, read_gguf(*source, path.native()));
  return GgufPart{.path = path.native(), .file = std::move(file)};
}

// The other parts of a split model; `first` is any of them. In order.
Result<std::vector<GgufPart>> read_parts(const fs::path& path, GgufPart first) {
  const auto count = find_number(first.file.metadata, "split.count").value_or(1);
  std::vector<GgufPart> parts;
  if (count <= 1) {
    parts.push_back(std::move(first));
    return parts;
  }
  const auto name = parse_split_name(path.filename().native());
  if (count > kMaxParts || !name || name->count != count) {
    return fail(ErrorCode::corrupt,
                "{}: split.count says that this is one of {} parts, and parts are found by name: "
                "call it NAME-00001-of-{:05}.gguf, and the others likewise",
                path.native(), count, count);
  }
  std::optional<GgufPart> given = std::move(first);
  for (std::uint32_t number = 1; number <= count; ++number) {
    const fs::path place = part_path(path.parent_path(), *name, number);
    if (number == name->number && given) {
      parts.push_back(*std::exchange(given, std::nullopt));
    } else {
      auto part = read_part(place);
      if (!part && part.error().code == ErrorCode::not_found) {
        return fail(ErrorCode::not_found, "{}: part {} of {} is missing: there is no {}",
                    path.native(), number, count, place.native());
      }
      if (!part) return fail(std::move(part).error());
      parts.push_back(*std::move(part));
    }
    const GgufMetadata& metadata = parts.back().file.metadata;
    if (find_number(metadata, "split.no") != number - 1 ||
        find_number(metadata, "split.count") != count) {
      return fail(ErrorCode::corrupt,
                  "{}: split.no: its name says part {} of {}, its content says otherwise",
                  place.native(), number, count);
    }
  }
  if (const auto total = find_number(parts.front().file.metadata, "split.tensors.count")) {
    std::uint64_t sum = 0;
    for (const GgufPart& part : parts) sum += part.file.tensors.size();
    if (sum != *total) {
      return fail(ErrorCode::corrupt,
                  "{}: split.tensors.count: the parts hold {} tensors of {}: they are not all of "
                  "one model",
                  path.native(), sum, *total);
    }
  }
  return parts;
}

Result<model::ModelProfile> profile_file(const fs::path& path) {
  BERTH_TRY(auto first, read_part(path));
  BERTH_TRY(const auto parts, read_parts(path, std::move(first)));
  auto profile = profile_of(parts);
  if (!profile) {
    Error error = std::move(profile).error();
    error.message = fmt::format("{}: {}", path.native(), error.message);
    return fail(std::move(error));
  }
  if (profile->name.empty()) {
    const auto split = parse_split_name(path.filename().native());
    profile->name = printable(split ? split->stem : path.stem().native(), 256);
  }
  add_projectors(*profile, path);
  return profile;
}

// The GGUF files of a folder, told by content; of a split model the part that is there first.
std::vector<fs::path> gguf_files(const FileSet& files) {
  std::vector<fs::path> found;
  std::map<std::string, fs::path> splits;  // by stem and count
  for (const auto& file : files.files()) {
    if (file.path.find('/') != std::string::npos) continue;
    auto source = files.open(file.path);
    if (!source || !looks_like_gguf(**source)) continue;
    const fs::path path = files.locate(file.path);
    if (const auto name = parse_split_name(file.path); name && name->count > 1) {
      auto& first = splits[fmt::format("{}/{}", name->stem, name->count)];
      if (first.empty() || path < first) first = path;
    } else {
      found.push_back(path);
    }
  }
  for (auto& [key, path] : splits) found.push_back(std::move(path));
  std::ranges::sort(found);
  return found;
}

// Whether a file goes with another model (projector, adapter, draft heads) and is none itself.
bool is_companion(const fs::path& path) {
  const std::string name = lower_case(path.filename().native());
  if (name.find("mmproj") != std::string::npos || name.starts_with("mtp-")) return true;
  const auto part = read_part(path);
  if (!part) return false;
  const GgufMetadata& metadata = part->file.metadata;
  const std::string_view type = find_string(metadata, "general.type");
  return find_string(metadata, "general.architecture") == "clip" || type == "adapter" ||
         type == "imatrix";
}

// The one model among a folder's GGUF files.
Result<model::ModelProfile> profile_gguf_folder(const FileSet& files,
                                                const std::vector<fs::path>& found) {
  std::vector<fs::path> models;
  std::ranges::copy_if(found, std::back_inserter(models),
                       [](const fs::path& path) { return !is_companion(path); });
  if (models.empty()) {
    return fail(ErrorCode::unsupported,
                "{} holds only projectors or adapters ({}), which go with another model",
                files.name(), found.front().filename().native());
  }
  if (models.size() == 1) return profile_file(models.front());
  return fail(ErrorCode::invalid_parameter, "{} holds {} models, name one of them: {}",
              files.name(), models.size(), listed({models.begin(), models.end()}));
}

Result<model::ModelProfile> profile_folder(const fs::path& folder) {
  BERTH_TRY(const auto files, list_folder(folder));
  // The particular layouts first: some have a config.json or GGUF files as well.
  for (const auto layout : {profile_audio, profile_diffusion}) {
    BERTH_TRY(auto profile, layout(*files));
    if (profile) return *std::move(profile);
  }
  const auto found = gguf_files(*files);
  if (!found.empty()) return profile_gguf_folder(*files, found);
  BERTH_TRY(auto profile, profile_hugging_face(*files));
  if (profile) return *std::move(profile);
  return fail(
      ErrorCode::unsupported,
      "{} holds no model that Berth knows: no GGUF file, no config.json, and no layout of a "
      "speech or image model",
      files->name());
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

}  // namespace berth::formats
