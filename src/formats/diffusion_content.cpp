#include "formats/diffusion_content.h"

#include "formats/dominating_type.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>

namespace berth::formats {
namespace {

using Tensors = std::vector<const SafetensorsTensor*>;

constexpr std::string_view kDiffusion = "model.diffusion_model.";

// A tensor's name with the prefix of its part taken away.
struct Group {
  Tensors tensors;
  std::size_t prefix = 0;

  [[nodiscard]] std::string_view name(const SafetensorsTensor& tensor) const {
    return std::string_view(tensor.name).substr(prefix);
  }
  template <class Test>
  [[nodiscard]] const SafetensorsTensor* find(Test test) const {
    const auto found =
        std::ranges::find_if(tensors, [&](const auto* tensor) { return test(name(*tensor)); });
    return found == tensors.end() ? nullptr : *found;
  }
  [[nodiscard]] const SafetensorsTensor* starting(std::string_view text) const {
    return find([&](std::string_view name) { return name.starts_with(text); });
  }
  [[nodiscard]] const SafetensorsTensor* ending(std::string_view text) const {
    return find([&](std::string_view name) { return name.ends_with(text); });
  }
  [[nodiscard]] const SafetensorsTensor* containing(std::string_view text) const {
    return find([&](std::string_view name) { return name.find(text) != name.npos; });
  }
};

// The length of a row.
std::uint64_t columns(const SafetensorsTensor* tensor) {
  return tensor == nullptr || tensor->shape.empty() ? 0 : tensor->shape.back();
}

// stable-diffusion.cpp, docs/: which files each model is started with. SD3 does without T5.
constexpr auto kClipL = std::to_array<std::string_view>({"clip_l", "vae"});
constexpr auto kClipH = std::to_array<std::string_view>({"clip_h", "vae"});
constexpr auto kBothClips = std::to_array<std::string_view>({"clip_l", "clip_g", "vae"});
constexpr auto kClipAndT5 = std::to_array<std::string_view>({"clip_l", "t5xxl", "vae"});
constexpr auto kT5 = std::to_array<std::string_view>({"t5xxl", "vae"});
// Chroma Radiance paints pixels, no latent image.
constexpr auto kT5Alone = std::to_array<std::string_view>({"t5xxl"});
constexpr auto kLlm = std::to_array<std::string_view>({"llm", "vae"});

struct Family {
  std::string_view name;  // as GGUF files call it
  bool video = false;
  std::span<const std::string_view> parts = {};  // beside the diffusion model; empty: not known
};
// Every one that is known by its name; those that are told by tensors as well are in kMarks.
constexpr auto kFamilies = std::to_array<Family>({
    {.name = "aura"},
    {.name = "chroma", .parts = kT5},
    {.name = "chroma_radiance", .parts = kT5Alone},
    {.name = "cosmos"},
    {.name = "flux", .parts = kClipAndT5},
    {.name = "flux2", .parts = kLlm},
    {.name = "hidream"},
    {.name = "hyvid", .video = true},
    {.name = "ltxv", .video = true},
    {.name = "lumina2"},
    {.name = "ovis_image", .parts = kLlm},
    {.name = "pixart"},
    {.name = "qwen_image", .parts = kLlm},
    {.name = "sd1", .parts = kClipL},
    {.name = "sd2", .parts = kClipH},
    {.name = "sd3", .parts = kBothClips},
    {.name = "sdxl", .parts = kBothClips},
    {.name = "svd", .video = true},
    {.name = "wan", .video = true, .parts = kT5},
    {.name = "z_image", .parts = kLlm},
});

constexpr const Family* find_family(std::string_view name) {
  const auto* found = std::ranges::find(kFamilies, name, &Family::name);
  return found == kFamilies.end() ? nullptr : found;
}

struct Mark {
  std::string_view tensor;  // how one begins that only this family has, or one below
  std::string_view family;
};
// The special before the general: Chroma and others are built from FLUX's blocks.
constexpr auto kMarks = std::to_array<Mark>({
    {"joint_blocks.", "sd3"},
    {"nerf_final_layer_conv.", "chroma_radiance"},
    {"distilled_guidance_layer.", "chroma"},
    {"double_blocks.0.img_mlp.gate_proj.", "ovis_image"},
    {"double_stream_modulation_img.", "flux2"},
    {"txt_in.individual_token_refiner.", "hyvid"},
    {"transformer_blocks.0.img_mod.1.", "qwen_image"},
    {"cap_embedder.0.", "z_image"},
    {"patchify_proj.", "ltxv"},
    {"blocks.0.cross_attn.norm_k.", "wan"},
    {"double_blocks.", "flux"},
    {"single_transformer_blocks.", "flux"},
});
static_assert(std::ranges::all_of(kMarks, find_family, &Mark::family));

// Lumina 2 has Z-Image's tensors with another text encoder, of this width.
constexpr std::uint64_t kLuminaText = 2304;

// UNets of all versions have the same tensors; the text that they attend to has another width.
const Family* unet_family(const Group& group) {
  const bool original = group.starting("input_blocks.") && group.starting("output_blocks.");
  const bool diffusers = group.starting("down_blocks.") && group.starting("up_blocks.");
  if (!original && !diffusers) return nullptr;
  if (group.containing(".time_stack.") != nullptr) return find_family("svd");
  switch (columns(group.ending(".attn2.to_k.weight"))) {
    case 768:
      return find_family("sd1");
    case 1024:
      return find_family("sd2");
    case 1280:  // the refiner
    case 2048:
      return find_family("sdxl");
    default:
      return nullptr;
  }
}

const Family* family_of(const Group& group) {
  for (const Mark& mark : kMarks) {
    const auto* tensor = group.starting(mark.tensor);
    if (tensor == nullptr) continue;
    if (mark.family == "z_image" &&
        columns(group.starting("cap_embedder.1.weight")) == kLuminaText) {
      return find_family("lumina2");
    }
    return find_family(mark.family);
  }
  return unet_family(group);
}

// 4 channels of a latent image are the usual; 9 are for inpainting, 8 for editing. FLUX packs 64.
bool takes_image(const Group& group) {
  if (const auto* input = group.starting("input_blocks.0.0.weight")) {
    return input->shape.size() == 4 && (input->shape[1] == 9 || input->shape[1] == 8);
  }
  const auto* input = group.starting("img_in.weight");
  const std::uint64_t width = columns(input);
  return width == 384 || width == 128 || width == 196;
}

std::optional<std::string_view> clip_kind(const Group& group) {
  if (group.containing("vision_model.") != nullptr) return std::nullopt;
  switch (columns(group.ending("token_embedding.weight"))) {
    case 768:
      return "clip_l";
    case 1024:
      return "clip_h";
    case 1280:
      return "clip_g";
    default:
      return std::nullopt;
  }
}

std::optional<std::string_view> encoder_kind(const Group& group) {
  if (group.containing(".SelfAttention.") != nullptr || group.starting("enc.blk.0.") != nullptr) {
    return "t5xxl";
  }
  if (const auto clip = clip_kind(group)) return clip;
  const bool layers = group.ending("layers.0.self_attn.q_proj.weight") != nullptr &&
                      group.ending("embed_tokens.weight") != nullptr;
  const bool blocks = group.starting("blk.0.attn_q.weight") != nullptr &&
                      group.starting("token_embd.weight") != nullptr;
  if (layers || blocks) return "llm";
  if (group.starting("v.blk.0.") != nullptr) return "llm_vision";
  return std::nullopt;
}

// A file that holds one part alone.
std::optional<std::string_view> lone_kind(const Group& group) {
  if (const auto encoder = encoder_kind(group)) return encoder;
  if (group.starting("decoder.layers.0.weight") != nullptr) return "taesd";
  if (group.starting("decoder.conv_in.") != nullptr ||
      group.starting("decoder.conv1.") != nullptr) {
    return "vae";
  }
  return std::nullopt;
}

// Where checkpoints keep their parts. The numbered ones stand before what they begin with.
constexpr auto kAutoencoders = std::to_array<std::string_view>({"first_stage_model.", "vae."});
constexpr auto kEncoders = std::to_array<std::string_view>({
    "cond_stage_model.1.",
    "cond_stage_model.2.",
    "cond_stage_model.",
    "conditioner.embedders.0.",
    "conditioner.embedders.1.",
    "text_encoders.clip_l.",
    "text_encoders.clip_g.",
    "text_encoders.t5xxl.",
    "text_encoders.llm.",
});

std::string_view prefix_of(std::string_view name) {
  if (name.starts_with(kDiffusion)) return kDiffusion;
  for (const auto& prefixes : {std::span<const std::string_view>(kAutoencoders),
                               std::span<const std::string_view>(kEncoders)}) {
    const auto found = std::ranges::find_if(
        prefixes, [&](std::string_view prefix) { return name.starts_with(prefix); });
    if (found != prefixes.end()) return *found;
  }
  return {};
}

bool is_autoencoder(std::string_view prefix) {
  return std::ranges::find(kAutoencoders, prefix) != kAutoencoders.end();
}

ContentPart part_of(std::string_view name, const Group& group) {
  ContentPart part{.name = std::string(name)};
  std::map<std::string_view, std::uint64_t> by_type;
  for (const auto* tensor : group.tensors) {
    part.bytes += {tensor->bytes};
    part.elements += tensor->elements;
    by_type[tensor->type] += tensor->bytes;
  }
  part.type = dominating_type(by_type);
  return part;
}

// What is trained on top of a model and goes with one: its tensors have the names of the model's.
bool is_adapter(const Group& all) {
  return all.containing("lora_") != nullptr || all.starting("controlnet_") != nullptr ||
         all.containing("input_hint_block.") != nullptr;
}

void add_diffusion(const Group& group, const Family& family, DiffusionContent& content) {
  content.family = family.name;
  content.video = family.video;
  content.takes_image = takes_image(group);
  content.parts.insert(content.parts.begin(), part_of("diffusion_model", group));
}

}  // namespace

const ContentPart* DiffusionContent::find(std::string_view part) const {
  const auto found = std::ranges::find(parts, part, &ContentPart::name);
  return found == parts.end() ? nullptr : &*found;
}

DiffusionContent diffusion_content(std::span<const SafetensorsTensor> tensors) {
  Group all;
  std::map<std::string_view, Group> groups;
  for (const SafetensorsTensor& tensor : tensors) {
    all.tensors.push_back(&tensor);
    const std::string_view prefix = prefix_of(tensor.name);
    Group& group = groups[prefix];
    group.prefix = prefix.size();
    group.tensors.push_back(&tensor);
  }
  DiffusionContent content;
  if (is_adapter(all)) return content;
  // A diffusion model alone goes without its prefix, and then nothing else is in the file.
  if (!groups.contains(kDiffusion)) {
    if (const Family* family = family_of(all)) {
      add_diffusion(all, *family, content);
      return content;
    }
  }
  for (const auto& [prefix, group] : groups) {
    if (prefix.empty()) continue;
    if (prefix == kDiffusion) {
      if (const Family* family = family_of(group)) add_diffusion(group, *family, content);
    } else if (is_autoencoder(prefix)) {
      content.parts.push_back(part_of("vae", group));
    } else {
      content.parts.push_back(part_of(encoder_kind(group).value_or("text_encoder"), group));
    }
  }
  if (content.parts.empty()) {
    if (const auto kind = lone_kind(all)) content.parts.push_back(part_of(*kind, all));
  }
  return content;
}

std::vector<SafetensorsTensor> tensors_of(const GgufFile& file) {
  std::vector<SafetensorsTensor> tensors;
  tensors.reserve(file.tensors.size());
  for (const GgufTensor& tensor : file.tensors) {
    const auto inner = tensor.shape.begin();
    std::vector<std::uint64_t> shape(inner, inner + tensor.dimensions);
    std::ranges::reverse(shape);
    tensors.push_back({.name = tensor.name,
                       .type = std::string(tensor.type.name),
                       .shape = std::move(shape),
                       .elements = tensor.elements,
                       .bytes = tensor.bytes});
  }
  return tensors;
}

std::string pickled_family(std::string_view beginning) {
  const auto has = [&](std::string_view text) { return beginning.find(text) != beginning.npos; };
  if (!has("model.diffusion_model.input_blocks.") || !has("first_stage_model.")) return {};
  if (has("conditioner.embedders.1.")) return "sdxl";
  if (has("cond_stage_model.transformer.text_model.")) return "sd1";
  if (has("cond_stage_model.model.transformer.")) return "sd2";
  return {};
}

std::span<const std::string_view> needed_parts(std::string_view family) {
  const Family* known = find_family(family);
  return known == nullptr ? std::span<const std::string_view>{} : known->parts;
}

bool is_diffusion_family(std::string_view name) { return find_family(name) != nullptr; }

}  // namespace berth::formats
