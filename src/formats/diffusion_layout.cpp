#include "formats/diffusion_layout.h"

#include "formats/cursor.h"
#include "formats/diffusion_content.h"
#include "formats/diffusion_pipeline.h"
#include "formats/layout_files.h"

#include <algorithm>
#include <array>

namespace berth::formats {
namespace {

using model::FileFormat;
using model::Modality;
using model::ModelFile;
using model::ModelPart;
using model::ModelProfile;

// A folder with more candidates is a collection, where one names the file.
constexpr std::size_t kMostFiles = 128;
// The tensor names of a pickle come before the tensors: 0.3 MiB for a Stable Diffusion.
constexpr std::uint64_t kPickleBeginning = 4 << 20;

// A file and what is in it.
struct Content {
  ModelFile file;
  FileFormat format = FileFormat::other;
  std::string name;  // as the file calls itself
  DiffusionContent content;
};

bool ends_with_any(std::string_view path, std::span<const std::string_view> endings) {
  const std::string lower = lower_case(path);
  return std::ranges::any_of(endings, [&](std::string_view end) { return lower.ends_with(end); });
}

std::string_view stem_of(std::string_view path) {
  path.remove_prefix(path.rfind('/') + 1);
  return path.substr(0, path.rfind('.'));
}

bool looks_pickled(std::string_view beginning) {
  return beginning.starts_with(std::string_view("PK\x03\x04")) || beginning.starts_with("\x80\x02");
}

Result<void> read_pickle(ByteSource& source, Content& content) {
  BERTH_TRY(const auto bytes, source.read(0, std::min(source.size(), kPickleBeginning)));
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (!looks_pickled(text)) return {};
  content.format = FileFormat::pytorch;
  content.content.family = pickled_family(text);
  return {};
}

constexpr auto kGguf = std::to_array<std::string_view>({".gguf"});
constexpr auto kSafetensors = std::to_array<std::string_view>({".safetensors", ".sft"});

// Reads the table of contents of a file of any of the formats. A name counts only where the content
// does not tell: a file that was cut off in its head shall be named as broken.
Result<Content> read_content(ByteSource& source, std::string path) {
  Content content{.file = {.path = std::move(path), .size = {source.size()}}};
  const bool safetensors = looks_like_safetensors(source);
  if (looks_like_gguf(source) || (!safetensors && ends_with_any(content.file.path, kGguf))) {
    BERTH_TRY(const auto file, read_gguf(source, content.file.path));
    content.format = FileFormat::gguf;
    content.name = printable(find_string(file.metadata, "general.name"), 256);
    content.content = diffusion_content(tensors_of(file));
  } else if (safetensors || ends_with_any(content.file.path, kSafetensors)) {
    BERTH_TRY(const auto file, read_safetensors(source, content.file.path));
    content.format = FileFormat::safetensors;
    content.content = diffusion_content(file.tensors);
  } else {
    BERTH_CHECK(read_pickle(source, content));
  }
  if (content.name.empty()) content.name = printable(stem_of(content.file.path), 256);
  return content;
}

void add_type(const Content& model, ModelProfile& profile) {
  const ContentPart* part = model.content.find("diffusion_model");
  if (part == nullptr) return;
  const bool plain = part->type.starts_with('F') || part->type.starts_with("BF");
  (plain ? profile.weight_type : profile.quantization) = part->type;
}

ModelProfile profile_of_model(const Content& model) {
  ModelProfile profile{
      .format = model.format,
      .name = model.name,
      .architecture = model.content.family,
      .category = model::Category::image,
      .inputs = {Modality::text},
      .outputs = {model.content.video ? Modality::video : Modality::image},
  };
  if (model.content.takes_image) profile.inputs.push_back(Modality::image);
  add_type(model, profile);
  add_file(profile, model.file);
  for (const ContentPart& part : model.content.parts) {
    profile.parts.push_back({.name = part.name, .files = {model.file}, .size = part.bytes});
    profile.parameters += part.elements;
  }
  return profile;
}

// What the folder's files hold. A file that cannot be read is remembered, because it only matters
// in a folder that turns out to be one of ours.
struct FolderContents {
  std::vector<Content> models;
  std::vector<Content> parts;
  std::optional<Error> first_error;
};

bool is_broken(const Error& error) {
  return error.code == ErrorCode::corrupt || error.code == ErrorCode::unsupported;
}

Result<FolderContents> read_contents(const FileSet& files,
                                     std::span<const std::string_view> endings) {
  FolderContents found;
  std::size_t seen = 0;
  for (const FileEntry& file : files.files()) {
    if (!ends_with_any(file.path, endings)) continue;
    if (++seen > kMostFiles) return FolderContents{};
    BERTH_TRY(const auto source, files.open(file.path));
    auto content = read_content(*source, files.locate(file.path));
    if (!content && !is_broken(content.error())) return fail(std::move(content).error());
    if (!content) {
      if (!found.first_error) found.first_error = std::move(content).error();
    } else if (!content->content.family.empty()) {
      found.models.push_back(*std::move(content));
    } else if (content->content.parts.size() == 1) {
      found.parts.push_back(*std::move(content));
    }
  }
  return found;
}

Error several_models(const FileSet& files, const std::vector<Content>& models) {
  std::vector<std::string> paths;
  paths.reserve(models.size());
  for (const Content& model : models) paths.push_back(model.file.path);
  return make_error(ErrorCode::invalid_parameter,
                    "{} holds {} diffusion models, name one of them: {}", files.name(),
                    models.size(), listed(paths));
}

// Puts each part that lies beside the model to it.
void add_parts(const std::vector<Content>& beside, ModelProfile& profile) {
  std::vector<ModelPart> taken;
  for (const Content& content : beside) {
    const ContentPart& part = content.content.parts.front();
    ModelPart one{.name = part.name, .files = {content.file}, .size = part.bytes};
    const auto same = std::ranges::find(taken, part.name, &ModelPart::name);
    if (same == taken.end()) {
      taken.push_back(std::move(one));
    } else if (same->size < one.size) {
      *same = std::move(one);
    }
  }
  for (ModelPart& part : taken) {
    std::erase_if(profile.parts, [&](const ModelPart& own) { return own.name == part.name; });
    add_file(profile, part.files.front());
    profile.parts.push_back(std::move(part));
  }
}

// Whether a config.json tells of a model of transformers, whose many files need not be opened then.
Result<bool> is_of_transformers(const FileSet& files) {
  if (!files.contains("config.json")) return false;
  const auto config = read_json(files, "config.json");
  if (!config && config.error().code != ErrorCode::corrupt) return fail(Error(config.error()));
  return config && config->contains("architectures");
}

Result<std::optional<ModelProfile>> profile_parts(const FileSet& files) {
  constexpr auto kTables = std::to_array<std::string_view>({".safetensors", ".sft", ".gguf"});
  constexpr auto kPickles = std::to_array<std::string_view>({".ckpt"});
  BERTH_TRY(const bool transformers, is_of_transformers(files));
  if (transformers) return std::nullopt;
  BERTH_TRY(auto found, read_contents(files, kTables));
  // A checkpoint is often there in both formats; the one that is safe to open is enough.
  if (found.models.empty()) {
    BERTH_TRY(auto pickled, read_contents(files, kPickles));
    found.models = std::move(pickled.models);
  }
  if (found.models.empty()) return std::nullopt;
  if (found.first_error) return fail(*std::move(found.first_error));
  if (found.models.size() > 1) return fail(several_models(files, found.models));
  auto profile = profile_of_model(found.models.front());
  add_parts(found.parts, profile);
  return profile;
}

}  // namespace

Result<std::optional<ModelProfile>> profile_diffusion(const FileSet& files) {
  return files.contains("model_index.json") ? profile_pipeline(files) : profile_parts(files);
}

Result<std::optional<ModelProfile>> profile_diffusion_file(ByteSource& source, std::string path) {
  BERTH_TRY(const auto content, read_content(source, std::move(path)));
  if (content.content.family.empty()) return std::nullopt;
  return profile_of_model(content);
}

std::vector<std::string> missing_diffusion_parts(const ModelProfile& profile) {
  std::vector<std::string> missing;
  if (profile.parts.empty()) return missing;
  const auto has = [&](std::string_view name) {
    return std::ranges::find(profile.parts, name, &ModelPart::name) != profile.parts.end();
  };
  for (const std::string_view part : needed_parts(profile.architecture)) {
    if (!has(part) && !(part == "vae" && has("taesd"))) missing.emplace_back(part);
  }
  return missing;
}

}  // namespace berth::formats
