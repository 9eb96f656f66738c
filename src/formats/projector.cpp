// read_projector: from a table of contents to a Projector. The choice is in projector_choice.cpp.
#include "formats/projector.h"

#include "formats/attention.h"
#include "formats/cursor.h"
#include "formats/dominating_type.h"
#include "formats/projector_types.h"

#include <algorithm>
#include <map>

namespace berth::formats {
namespace {

constexpr std::uint64_t kMostNames = 16;
constexpr std::uint32_t kMostBlocks = 4096;
constexpr std::uint64_t kMostWidth = 1U << 24;
constexpr std::uint32_t kBatchTokens = 1024;  // --mtmd-batch-max-tokens
constexpr std::uint64_t kAudioFrames = 3000;  // 30 s, 100 a second (Whisper)

const GgufTensor* find_tensor(const GgufFile& file, std::string_view name) {
  const auto found = std::ranges::find(file.tensors, name, &GgufTensor::name);
  return found == file.tensors.end() ? nullptr : &*found;
}

bool has_prefix(const GgufFile& file, std::string_view prefix) {
  return std::ranges::any_of(file.tensors, [&](const GgufTensor& tensor) {
    return std::string_view(tensor.name).starts_with(prefix);
  });
}

std::string precision_of(const GgufFile& file) {
  std::map<std::string_view, std::uint64_t> bytes;
  for (const GgufTensor& tensor : file.tensors) bytes[tensor.type.name] += tensor.bytes;
  return dominating_type(bytes);
}

// Files of before there were these keys hold what their tensors say.
bool has_encoder(const GgufFile& file, std::string_view key, std::string_view tensors) {
  const auto said = find_number(file.metadata, key);
  return said ? *said != 0 : has_prefix(file, tensors);
}

// The type for images where there is one; "mlp" for the oldest files, which have a flag instead.
std::string type_of(const GgufFile& file) {
  for (const std::string_view key :
       {"clip.projector_type", "clip.vision.projector_type", "clip.audio.projector_type"}) {
    if (const auto type = find_string(file.metadata, key); !type.empty())
      return printable(type, 64);
  }
  return find_number(file.metadata, "clip.has_llava_projector").value_or(0) != 0 ? "mlp" : "";
}

// Families that share a type with another are told by what else the file has.
std::string family_of(const GgufFile& file, const ProjectorType& type) {
  const auto* layers = find_array(file.metadata, "clip.vision.feature_layer");
  if (type.name == "mlp" && layers != nullptr && layers->count > 1) return "Granite Vision";
  if (type.name == "pixtral" && find_tensor(file, "mm.patch_merger.weight") != nullptr) {
    return "Mistral Small 3.1";
  }
  return std::string(type.family);
}

// Embeddings in what is put out for a token.
std::uint32_t parts_of(const GgufFile& file, std::string_view type) {
  if (type == "qwen3vl_merger") {
    return 1 + static_cast<std::uint32_t>(std::ranges::count_if(file.tensors, [](const auto& t) {
             return t.name.starts_with("v.deepstack.") && t.name.ends_with(".fc1.weight");
           }));
  }
  if (type == "granite4_vision") {
    const auto* layers = find_array(file.metadata, "clip.vision.feature_layer");
    if (layers != nullptr && layers->count <= kMostBlocks) {
      return std::max(1U, static_cast<std::uint32_t>(layers->count));
    }
  }
  return 1;
}

// Of one part, as llama.cpp counts it (clip_n_mmproj_embd).
std::uint64_t part_width(const GgufFile& file, const ProjectorType* type, std::uint32_t projected) {
  if (type == nullptr) return projected;
  const auto* rows = type;
  // A norm between its layers (Yi) makes of "mlp" what llama.cpp calls mlp_norm.
  if (type->name == "mlp" && find_tensor(file, "mm.3.weight") != nullptr) {
    rows = projector_type("mlp_norm");
  }
  const auto* tensor = rows->tensor.empty() ? nullptr : find_tensor(file, rows->tensor);
  return tensor == nullptr ? projected : tensor->shape[rows->axis];
}

// Patches that are computed at once at most; see EncoderShape.
Result<std::uint64_t> patches_of(const Hyperparameters& keys, const ProjectorType* type,
                                 const model::EncoderShape& encoder) {
  if (encoder.image_size == 0 || encoder.patch_size == 0) return kAudioFrames;
  const auto squared = [](std::uint64_t side) { return side * side; };
  const std::uint64_t merged = squared(encoder.merge);
  if (encoder.most_tokens != 0) return encoder.most_tokens * merged;
  BERTH_TRY(const auto pixels, keys.number("image_max_pixels"));
  if (pixels != 0) return pixels / squared(encoder.patch_size) + 1;
  std::uint32_t side = encoder.image_size;
  if (type != nullptr && type->name == "lightonocr") {
    BERTH_TRY(side, keys.number("preproc_image_size", side));
  }
  const std::uint64_t patches = squared(side / encoder.patch_size) + 1;  // and a class embedding
  if (type == nullptr || !type->batches) return patches;
  return patches * std::max<std::uint64_t>(1, kBatchTokens * merged / patches);
}

Result<model::EncoderShape> read_encoder(const GgufFile& file, const ProjectorType* type,
                                         bool vision) {
  const Hyperparameters keys(file.metadata, vision ? "clip.vision" : "clip.audio");
  model::EncoderShape encoder;
  BERTH_TRY(encoder.block_count, keys.number("block_count"));
  if (encoder.block_count > kMostBlocks) {
    return fail(ErrorCode::corrupt, "{}: {} blocks are more than {}", keys.key("block_count"),
                encoder.block_count, kMostBlocks);
  }
  BERTH_TRY(encoder.embedding_length, keys.number("embedding_length"));
  BERTH_TRY(encoder.feed_forward_length, keys.number("feed_forward_length"));
  BERTH_TRY(encoder.heads, keys.number("attention.head_count"));
  encoder.gated = has_prefix(file, vision ? "v.blk.0.ffn_gate" : "a.blk.0.ffn_gate");
  encoder.windowed =
      keys.has("n_wa_pattern") || keys.has("wa_layer_indexes") || keys.has("wa_pattern_mode");
  if (vision) {
    BERTH_TRY(encoder.image_size, keys.number("image_size"));
    BERTH_TRY(encoder.patch_size, keys.number("patch_size"));
    encoder.most_tokens = type == nullptr ? 0 : type->most_tokens;
    const std::uint32_t usual = type == nullptr ? 1 : type->merge;
    BERTH_TRY(encoder.merge, keys.number("spatial_merge_size", usual));
    BERTH_TRY(encoder.merge, keys.number("projector.scale_factor", encoder.merge));
    if (encoder.merge == 0 || encoder.merge > 64) {
      return fail(ErrorCode::corrupt, "{}: {} patches of a side in a token",
                  keys.key("spatial_merge_size"), encoder.merge);
    }
  }
  BERTH_TRY(encoder.patches, patches_of(keys, type, encoder));
  return encoder;
}

}  // namespace

std::vector<std::string> base_names_of(const GgufMetadata& metadata) {
  std::vector<std::string> names;
  const auto add = [&](std::string_view key) {
    const auto name = printable(find_string(metadata, key), 256);
    if (!name.empty() && std::ranges::find(names, name) == names.end()) names.push_back(name);
  };
  const auto count = find_number(metadata, "general.base_model.count").value_or(0);
  for (std::uint64_t i = 0; i < std::min(count, kMostNames); ++i) {
    add(fmt::format("general.base_model.{}.name", i));
  }
  add("general.basename");
  return names;
}

Result<model::Projector> read_projector(const GgufFile& file, std::string path) {
  const GgufMetadata& metadata = file.metadata;
  if (const auto name = find_string(metadata, "general.architecture"); name != "clip") {
    return fail(ErrorCode::unsupported, "it is no projector, but a file of architecture \"{}\"",
                printable(name));
  }
  model::Projector projector{.path = std::move(path), .size = {file.size}};
  projector.name = printable(find_string(metadata, "general.name"), 256);
  projector.base_names = base_names_of(metadata);
  projector.type = type_of(file);
  projector.vision = has_encoder(file, "clip.has_vision_encoder", "v.");
  projector.audio = has_encoder(file, "clip.has_audio_encoder", "a.");
  projector.precision = precision_of(file);
  const ProjectorType* type = projector_type(projector.type);
  if (type != nullptr) {
    projector.family = family_of(file, *type);
    projector.whole_images = type->whole_images && projector.vision;
  }
  const Hyperparameters keys(metadata, projector.vision ? "clip.vision" : "clip.audio");
  BERTH_TRY(const auto projected, keys.number("projection_dim"));
  projector.parts = parts_of(file, projector.type);
  const std::uint64_t part = part_width(file, type, projected);
  if (part > kMostWidth || part * projector.parts > kMostWidth) {
    return fail(ErrorCode::corrupt, "it projects to {} elements in {} parts, which no model takes",
                part, projector.parts);
  }
  projector.width = static_cast<std::uint32_t>(part * projector.parts);
  BERTH_TRY(projector.encoder, read_encoder(file, type, projector.vision));
  return projector;
}

model::Adapter read_adapter(const GgufFile& file) {
  const GgufMetadata& metadata = file.metadata;
  model::Adapter adapter{
      .type = printable(find_string(metadata, "adapter.type"), 64),
      .architecture = printable(find_string(metadata, "general.architecture"), 64),
      .base_names = base_names_of(metadata)};
  if (const auto alpha = metadata.find("adapter.lora.alpha"); alpha != metadata.end()) {
    const auto* number = std::get_if<double>(&alpha->second);
    if (number != nullptr) adapter.alpha = *number;
  }
  for (const GgufTensor& tensor : file.tensors) {
    if (tensor.name.ends_with(".lora_a") && tensor.shape[1] <= (1U << 20)) {
      adapter.rank = std::max(adapter.rank, static_cast<std::uint32_t>(tensor.shape[1]));
    }
  }
  return adapter;
}

}  // namespace berth::formats
