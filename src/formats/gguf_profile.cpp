// profile_of: from tables of contents to a ModelProfile.
#include "formats/architecture.h"
#include "formats/attention.h"
#include "formats/cursor.h"
#include "formats/diffusion_content.h"
#include "formats/dominating_type.h"
#include "formats/profile.h"
#include "formats/projector.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <map>
#include <unordered_set>

namespace berth::formats {
namespace {

constexpr std::uint32_t kMaxLayers = 4096;  // llama.cpp itself allows 512

// What a diffusion model without metadata is called.
constexpr std::string_view kUnnamedDiffusion = "diffusion";

bool is_diffusion(std::string_view architecture) {
  return architecture == kUnnamedDiffusion || is_diffusion_family(architecture);
}

// A projector or adapter: weights that go with another model.
bool is_part_of_another(std::string_view architecture) {
  return architecture == "clip" || architecture == "adapter";
}

bool has_tensor(const std::vector<GgufPart>& parts, auto&& matches) {
  return std::ranges::any_of(parts, [&](const GgufPart& part) {
    return std::ranges::any_of(part.file.tensors,
                               [&](const GgufTensor& tensor) { return matches(tensor.name); });
  });
}

Result<std::string> architecture_of(const std::vector<GgufPart>& parts) {
  const GgufMetadata& metadata = parts.front().file.metadata;
  if (find_string(metadata, "general.type") == "adapter") return std::string("adapter");
  const std::string_view name = find_string(metadata, "general.architecture");
  if (name.empty()) {
    // Files converted by stable-diffusion.cpp carry no metadata at all.
    if (has_tensor(parts, [](std::string_view tensor) {
          return tensor.starts_with("model.diffusion_model.") ||
                 tensor.starts_with("double_blocks.");
        })) {
      return std::string(kUnnamedDiffusion);
    }
    return fail(ErrorCode::corrupt, "general.architecture: it is missing");
  }
  const bool plain = name.size() <= 64 && std::ranges::all_of(name, [](char c) {
                       return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                              (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
                     });
  if (!plain) {
    return fail(ErrorCode::corrupt, "general.architecture: \"{}\" is no name", printable(name));
  }
  return std::string(name);
}

// The N of "blk.N.…" (also "enc.blk.N.…"); empty for other tensors.
std::optional<std::uint64_t> layer_of(std::string_view name) {
  for (const std::string_view prefix : {"enc.", "dec."}) {
    if (name.starts_with(prefix)) name.remove_prefix(prefix.size());
  }
  if (!name.starts_with("blk.")) return std::nullopt;
  name.remove_prefix(4);
  std::uint64_t layer = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), layer);
  if (error != std::errc() || end == name.data() + name.size() || *end != '.') return std::nullopt;
  return layer;
}

bool is_input(std::string_view name) {
  return name.starts_with("token_embd") || name.starts_with("per_layer_token_embd") ||
         name.starts_with("position_embd") || name.starts_with("token_types");
}

// Sums the tensors into `profile`: weights by place, parameters, the dominant type.
Result<void> add_tensors(const std::vector<GgufPart>& parts, model::ModelProfile& profile) {
  const bool whole =
      !is_part_of_another(profile.architecture) && profile.category != model::Category::image;
  std::unordered_set<std::string_view> names;
  std::map<std::string_view, std::uint64_t> bytes_by_type;
  Bytes embeddings;
  bool has_head = false;
  for (const GgufPart& part : parts) {
    for (const GgufTensor& tensor : part.file.tensors) {
      if (parts.size() > 1 && !names.insert(tensor.name).second) {
        return fail(ErrorCode::corrupt, "tensor {}: it is in two parts", printable(tensor.name));
      }
      profile.parameters += tensor.elements;
      bytes_by_type[tensor.type.name] += tensor.bytes;
      const auto layer = whole ? layer_of(tensor.name) : std::nullopt;
      if (layer && *layer >= profile.layer_count) {
        return fail(ErrorCode::corrupt, "tensor {}: it is of layer {}, but the model has {}",
                    printable(tensor.name), *layer, profile.layer_count);
      }
      Bytes& place = layer                             ? profile.weights.layers[*layer]
                     : is_input(tensor.name) || !whole ? profile.weights.input
                                                       : profile.weights.output;
      place += {tensor.bytes};
      if (tensor.name == "token_embd.weight") embeddings = {tensor.bytes};
      has_head = has_head || tensor.name == "output.weight";
    }
  }
  if (whole && !has_head && embeddings > 0_B && !is_encoder(profile.architecture)) {
    profile.weights.tied_output = true;
    profile.weights.tied_head = embeddings;
  }
  if (profile.quantization.empty()) profile.quantization = dominating_type(bytes_by_type);
  return {};
}

Result<std::uint32_t> vocabulary_of(const std::vector<GgufPart>& parts,
                                    const Hyperparameters& keys) {
  std::uint64_t count = 0;
  if (const auto* tokens = find_array(parts.front().file.metadata, "tokenizer.ggml.tokens")) {
    count = tokens->count;
  } else if (keys.has("vocab_size")) {
    return keys.number("vocab_size");
  } else {
    for (const GgufPart& part : parts) {
      for (const GgufTensor& tensor : part.file.tensors) {
        if (tensor.name == "token_embd.weight") count = tensor.shape[1];
      }
    }
  }
  if (count > std::numeric_limits<std::uint32_t>::max()) {
    return fail(ErrorCode::corrupt, "tokenizer.ggml.tokens: {} tokens are too many", count);
  }
  return static_cast<std::uint32_t>(count);
}

Result<std::string> pooling_of(const Hyperparameters& keys) {
  constexpr std::array<std::string_view, 5> kNames = {"", "mean", "cls", "last", "rank"};
  BERTH_TRY(const auto type, keys.number("pooling_type"));
  return std::string(type < kNames.size() ? kNames[type] : "");
}

model::Category category_of(const std::vector<GgufPart>& parts, const std::string& architecture,
                            std::string_view pooling) {
  using model::Category;
  if (is_diffusion(architecture)) return Category::image;
  if (architecture == "wavtokenizer-dec") return Category::text_to_speech;
  if (pooling == "rank") return Category::reranker;
  if (!is_encoder(architecture) && architecture != "gemma-embedding" &&
      architecture != "llama-embed") {
    return pooling.empty() ? Category::llm : Category::embedding;
  }
  // Older conversions of rerankers have their classifier, but no pooling type.
  const bool classifier = has_tensor(parts, [](std::string_view name) {
    return name == "cls.weight" || name == "cls.output.weight";
  });
  return classifier && pooling.empty() ? Category::reranker : Category::embedding;
}

// llama.cpp: llama_hparams::n_embd_inp. Granite maps layers to parts by a list, of which only the
// projector says how many it has.
Result<std::uint32_t> embedding_parts_of(const Hyperparameters& keys) {
  if (keys.has("deepstack_mapping")) return 0;
  BERTH_TRY(const auto more, keys.number("n_deepstack_layers"));
  if (more > kMaxLayers) {
    return fail(ErrorCode::corrupt, "{}: {} layers are more than {}",
                keys.key("n_deepstack_layers"), more, kMaxLayers);
  }
  return 1 + more;
}

// Layers that only predict ahead are not loaded (llama.cpp: load_mtp, which needs --spec-type).
Result<void> leave_out_predictors(const Hyperparameters& keys, model::ModelProfile& profile) {
  BERTH_TRY(const auto ahead, keys.number("nextn_predict_layers"));
  auto& layers = profile.weights.layers;
  for (std::size_t i = layers.size() - std::min<std::size_t>(ahead, layers.size());
       i < layers.size(); ++i) {
    layers[i] = {};
  }
  return {};
}

// What a projector or adapter says beyond what every file does.
Result<void> add_companion(const GgufPart& part, model::ModelProfile& profile) {
  if (profile.architecture == "adapter") {
    profile.adapter = read_adapter(part.file);
    return {};
  }
  BERTH_TRY(auto projector, read_projector(part.file, part.path));
  projector.reason = "the file itself";
  profile.projectors.push_back(std::move(projector));
  return {};
}

// Everything that the metadata says of a model that computes on tokens.
Result<void> add_text_model(const std::vector<GgufPart>& parts, const Hyperparameters& keys,
                            model::ModelProfile& profile) {
  BERTH_TRY(profile.layer_count, keys.number("block_count"));
  if (profile.layer_count > kMaxLayers) {
    return fail(ErrorCode::corrupt, "{}: {} layers are more than {}", keys.key("block_count"),
                profile.layer_count, kMaxLayers);
  }
  if (profile.layer_count == 0) {
    return fail(ErrorCode::corrupt, "{}: it is missing or 0", keys.key("block_count"));
  }
  profile.weights.layers.resize(profile.layer_count);
  BERTH_TRY(profile.context_length, keys.number("context_length"));
  BERTH_TRY(profile.embedding_length, keys.number("embedding_length"));
  BERTH_TRY(profile.embedding_parts, embedding_parts_of(keys));
  BERTH_TRY(const auto feed_forward, keys.per_layer("feed_forward_length", profile.layer_count));
  if (!feed_forward.empty()) profile.feed_forward_length = std::ranges::max(feed_forward);
  BERTH_TRY(const auto experts, keys.per_layer("expert_feed_forward_length", profile.layer_count));
  if (!experts.empty()) {
    profile.feed_forward_length = std::max(profile.feed_forward_length, std::ranges::max(experts));
  }
  BERTH_TRY(profile.experts, keys.number("expert_count"));
  BERTH_TRY(profile.experts_used, keys.number("expert_used_count"));
  BERTH_TRY(profile.vocabulary, vocabulary_of(parts, keys));
  BERTH_TRY(profile.pooling, pooling_of(keys));
  BERTH_TRY(auto shapes, cache_shapes(keys, profile.layer_count, profile.embedding_length));
  profile.attention = std::move(shapes.attention);
  profile.recurrent = std::move(shapes.recurrent);
  return {};
}

}  // namespace

Result<model::ModelProfile> profile_of(const std::vector<GgufPart>& parts) {
  if (parts.empty()) return fail(ErrorCode::invalid_parameter, "a model needs a file");
  const GgufMetadata& metadata = parts.front().file.metadata;
  model::ModelProfile profile{.format = model::FileFormat::gguf};
  BERTH_TRY(profile.architecture, architecture_of(parts));
  profile.name = printable(find_string(metadata, "general.name"), 256);
  profile.base_names = base_names_of(metadata);
  profile.licence = printable(find_string(metadata, "general.license"), 256);
  if (const auto type = find_number(metadata, "general.file_type")) {
    profile.quantization = file_type_name(*type);
  }
  profile.has_chat_template = metadata.contains("tokenizer.chat_template");
  for (const GgufPart& part : parts) {
    profile.files.push_back({.path = part.path, .size = {part.file.size}});
    profile.total_size += {part.file.size};
  }
  if (!has_tensor(parts, [](std::string_view) { return true; })) {
    return fail(ErrorCode::unsupported, "it holds no weights, only {} metadata keys",
                metadata.size());
  }
  if (is_part_of_another(profile.architecture)) {
    BERTH_CHECK(add_companion(parts.front(), profile));
  } else if (!is_diffusion(profile.architecture)) {
    BERTH_CHECK(add_text_model(parts, Hyperparameters(metadata, profile.architecture), profile));
  }
  profile.category = category_of(parts, profile.architecture, profile.pooling);
  if (profile.layer_count != 0) profile.inputs = {model::Modality::text};
  if (profile.layer_count != 0 && profile.category == model::Category::llm) {
    profile.outputs = {model::Modality::text};
  }
  BERTH_CHECK(add_tensors(parts, profile));
  BERTH_CHECK(leave_out_predictors(Hyperparameters(metadata, profile.architecture), profile));
  return profile;
}

}  // namespace berth::formats
