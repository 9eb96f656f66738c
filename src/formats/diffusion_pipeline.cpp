#include "formats/diffusion_pipeline.h"

#include "formats/cursor.h"
#include "formats/dominating_type.h"
#include "formats/layout_files.h"
#include "formats/safetensors.h"
#include "formats/weight_files.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <map>

namespace berth::formats {
namespace {

using model::Modality;
using model::ModelPart;
using model::ModelProfile;

constexpr std::string_view kIndex = "model_index.json";

// A part of the index that has a class: ["diffusers", "AutoencoderKL"].
struct Component {
  std::string name;
  std::string type;
};

// Nothing where the value is a setting, or a part that this pipeline does without ([null, null]).
std::optional<Component> component_of(std::string_view key, const json::value& value) {
  if (key.starts_with('_') || !value.is_array() || value.get_array().size() != 2) {
    return std::nullopt;
  }
  const json::string* type = value.get_array()[1].if_string();
  const bool plain = !key.empty() && key.find_first_of("/\\.") == key.npos;
  if (type == nullptr || !plain) return std::nullopt;
  return Component{.name = std::string(key), .type = std::string(*type)};
}

bool is_model(std::string_view name) { return name.starts_with("transformer") || name == "unet"; }

// Parts without which there is no picture, so that missing weights are an error.
bool is_needed(std::string_view name) {
  return is_model(name) || name.starts_with("text_encoder") || name == "vae";
}

// The diffusion model first, then as the index has them. The checker of an older Stable Diffusion
// is left out: no engine of ours loads it.
std::vector<Component> components_of(const json::object& index) {
  std::vector<Component> models;
  std::vector<Component> others;
  for (const auto& [key, value] : index) {
    if (key == "safety_checker") continue;
    if (auto component = component_of(key, value)) {
      (is_model(component->name) ? models : others).push_back(*std::move(component));
    }
  }
  std::ranges::move(others, std::back_inserter(models));
  return models;
}

bool mentions(std::string_view text, std::span<const std::string_view> words) {
  return std::ranges::any_of(words,
                             [&](std::string_view word) { return text.find(word) != text.npos; });
}

// "FluxPipeline", or ["pipeline_file", "ItsClass"] of a pipeline that brings its own code.
Result<void> read_class(const FileSet& files, const json::object& index, ModelProfile& profile) {
  const json::value* value = index.if_contains("_class_name");
  if (value != nullptr && value->is_array() && !value->get_array().empty()) {
    profile.needs_own_code = true;
    value = &value->get_array().back();
  }
  if (value == nullptr || !value->is_string() || value->get_string().empty()) {
    return fail(ErrorCode::corrupt, "{}: _class_name: it names no pipeline", files.locate(kIndex));
  }
  profile.architecture = printable(value->get_string(), 128);
  return {};
}

void add_modalities(ModelProfile& profile) {
  constexpr auto kVideo = std::to_array<std::string_view>(
      {"Video", "Wan", "LTX", "CogVideo", "Mochi", "AnimateDiff", "Allegro"});
  constexpr auto kEdits =
      std::to_array<std::string_view>({"Edit", "Img2Img", "Inpaint", "Fill", "Kontext",
                                       "ImageToVideo", "Pix2Pix", "Upscale", "Img2Vid"});
  profile.inputs = {Modality::text};
  if (mentions(profile.architecture, kEdits)) profile.inputs.push_back(Modality::image);
  profile.outputs = {mentions(profile.architecture, kVideo) ? Modality::video : Modality::image};
}

// Counts the tensors of a part by type. Reads the heads of its files, so a file that was cut off or
// is something else is named here and not by an engine.
Result<std::map<std::string, std::uint64_t>> count_tensors(const FileSet& files,
                                                           const WeightFiles& weights,
                                                           ModelProfile& profile) {
  std::map<std::string, std::uint64_t> by_type;
  if (weights.format != model::FileFormat::safetensors) return by_type;
  for (const FileEntry& file : weights.files) {
    BERTH_TRY(const auto source, files.open(file.path));
    BERTH_TRY(const auto table, read_safetensors(*source, files.locate(file.path)));
    for (const SafetensorsTensor& tensor : table.tensors) {
      profile.parameters += tensor.elements;
      by_type[tensor.type] += tensor.bytes;
    }
  }
  return by_type;
}

Result<void> add_component(const FileSet& files, const Component& component,
                           ModelProfile& profile) {
  const std::string folder = component.name + "/";
  BERTH_TRY(const auto weights, find_weights(files, folder));
  if (weights.files.empty()) {
    if (!is_needed(component.name)) return {};
    const std::string_view stem =
        component.name.starts_with("text_encoder") ? "model" : "diffusion_pytorch_model";
    return fail(ErrorCode::not_found,
                "{}: {}: its weights are missing: there is no {}{}.safetensors",
                files.locate(kIndex), component.name, folder, stem);
  }
  BERTH_TRY(const auto by_type, count_tensors(files, weights, profile));
  if (profile.parts.empty()) {
    profile.format = weights.format;
    profile.weight_type = dominating_type(by_type);
  }
  ModelPart part{.name = component.name};
  for (const FileEntry& entry : weights.files) {
    const model::ModelFile file{.path = files.locate(entry.path), .size = entry.size};
    part.size += file.size;
    part.files.push_back(file);
    add_file(profile, file);
  }
  profile.parts.push_back(std::move(part));
  return {};
}

}  // namespace

Result<std::optional<ModelProfile>> profile_pipeline(const FileSet& files) {
  BERTH_TRY(const auto index, read_json(files, kIndex));
  ModelProfile profile{.name = folder_name(files.name()), .category = model::Category::image};
  BERTH_CHECK(read_class(files, index, profile));
  constexpr auto kSound = std::to_array<std::string_view>({"Audio", "Music"});
  if (mentions(profile.architecture, kSound)) return std::nullopt;
  add_modalities(profile);
  for (const Component& component : components_of(index)) {
    BERTH_CHECK(add_component(files, component, profile));
  }
  if (profile.parts.empty()) {
    return fail(ErrorCode::not_found, "{}: none of the parts that it names has weights",
                files.locate(kIndex));
  }
  return profile;
}

}  // namespace berth::formats
