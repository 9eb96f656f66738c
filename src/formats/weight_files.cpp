#include "formats/weight_files.h"

#include "formats/cursor.h"
#include "formats/dominating_type.h"
#include "formats/layout_files.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <optional>
#include <set>
#include <unordered_set>

namespace berth::formats {
namespace {

constexpr auto kEncoderWords = std::to_array<std::string_view>({"vision_tower",
                                                                "vision_model",
                                                                "vision_encoder",
                                                                "vision_embed",
                                                                "visual.",
                                                                "audio_tower",
                                                                "audio_encoder",
                                                                "audio_model",
                                                                "embed_vision",
                                                                "embed_audio",
                                                                "multi_modal_projector",
                                                                "mm_projector",
                                                                "mm_input_projection",
                                                                "connector.",
                                                                "patch_merger",
                                                                "image_newline",
                                                                "img_projection",
                                                                "vision_language_adapter",
                                                                "vpm.",
                                                                "resampler.",
                                                                "apm.",
                                                                "mlp1.",
                                                                "aligner.",
                                                                "sam_model"});

constexpr auto kInputWords = std::to_array<std::string_view>(
    {"embed_tokens", "wte.", "wpe.", "word_embeddings", "position_embeddings",
     "token_type_embeddings", "tok_embeddings", "embed_in.", "embed_positions", "embedding.weight",
     "embeddings.weight"});

// Weights that every rank of a tensor-parallel group loads whole.
constexpr auto kReplicatedWords = std::to_array<std::string_view>(
    {"norm", "ln_", "q_a_proj", "kv_a_proj", "mlp.gate.", "block_sparse_moe.gate.", "router",
     "shared_expert_gate", "e_score_correction", "rotary", "_layernorm"});

constexpr auto kKeyValueWords =
    std::to_array<std::string_view>({"k_proj.", "v_proj.", ".wk.", ".wv.", ".key.", ".value."});
constexpr auto kFusedWords = std::to_array<std::string_view>(
    {"qkv_proj.", "query_key_value.", "Wqkv.", "W_pack.", "wqkv.", "c_attn."});

bool mentions(std::string_view name, const auto& words) {
  return std::ranges::any_of(
      words, [&](std::string_view word) { return name.find(word) != std::string_view::npos; });
}

struct Kind {
  std::string_view extension;
  model::FileFormat format;
};
constexpr auto kKinds = std::to_array<Kind>({{".safetensors", model::FileFormat::safetensors},
                                             {".bin", model::FileFormat::pytorch},
                                             {".pt", model::FileFormat::pytorch}});

// Whether a file name is of something else than the model's own weights.
bool is_aside(std::string_view name) {
  constexpr auto kAside = std::to_array<std::string_view>(
      {"adapter_", "training_args", "optimizer", "scheduler", "rng_state", "trainer_", "tf_model",
       "flax_model", "openvino", "onnx"});
  return std::ranges::any_of(kAside, [&](std::string_view word) { return name.starts_with(word); });
}

// "model.fp16.safetensors" is a copy of model.safetensors in another type, and so is
// "model.fp32-00001-of-00002.safetensors".
bool is_variant(std::string_view name, const std::set<std::string_view>& names) {
  for (const std::string_view word : {".fp16", ".bf16", ".fp32", ".non_ema", ".ema"}) {
    const auto at = name.find(word);
    if (at == std::string_view::npos) continue;
    const std::string stem(name.substr(0, at));
    const std::string extension(name.substr(name.rfind('.')));
    if (names.contains(stem + std::string(name.substr(at + word.size()))) ||
        names.contains(stem + extension)) {
      return true;
    }
  }
  return false;
}

std::vector<FileEntry> with_extension(const std::vector<FileEntry>& files, std::string_view folder,
                                      std::string_view extension) {
  std::vector<FileEntry> found;
  std::vector<FileEntry> consolidated;
  std::set<std::string_view> names;
  for (const auto& file : files) {
    if (file.path.starts_with(folder)) names.insert(file_name_of(file.path));
  }
  for (const auto& file : files) {
    const std::string_view name = file_name_of(file.path);
    const bool here =
        file.path.size() == folder.size() + name.size() && file.path.starts_with(folder);
    if (!here || !name.ends_with(extension) || is_aside(name) || is_variant(name, names)) continue;
    (name.starts_with("consolidated") ? consolidated : found).push_back(file);
  }
  return found.empty() ? consolidated : found;
}

// The files that an index names; nothing where the folder has none for this extension.
Result<std::optional<WeightFiles>> by_index(const FileSet& files, std::string_view folder,
                                            std::string_view extension) {
  const std::string tail = std::string(extension) + ".index.json";
  const auto& all = files.files();
  const auto found = std::ranges::find_if(all, [&](const FileEntry& file) {
    const auto name = file_name_of(file.path);
    return file.path.starts_with(folder) && file.path.size() == folder.size() + name.size() &&
           name.ends_with(tail) && !name.starts_with("consolidated") &&
           name.find(".fp16.") == std::string_view::npos;
  });
  if (found == all.end()) return std::nullopt;
  BERTH_TRY(const auto index, read_json(files, found->path, 64_MiB));
  const auto* map = index.if_contains("weight_map");
  if (map == nullptr || !map->is_object() || map->get_object().empty()) {
    return fail(ErrorCode::corrupt, "{}: weight_map: it is missing or empty",
                files.locate(found->path));
  }
  std::set<std::string> named;
  for (const auto& [tensor, file] : map->get_object()) {
    if (!file.is_string()) {
      return fail(ErrorCode::corrupt, "{}: weight_map: the file of {} is no text",
                  files.locate(found->path), printable(tensor));
    }
    named.insert(std::string(folder) + std::string(file.get_string()));
  }
  WeightFiles weights{.format = model::FileFormat::other, .files = {}, .index = found->path};
  std::vector<std::string> missing;
  for (const auto& path : named) {
    if (const auto* file = files.find(path)) {
      weights.files.push_back(*file);
    } else {
      missing.push_back(path);
    }
  }
  if (!missing.empty()) {
    return fail(ErrorCode::not_found, "{}: lacks {} of the {} files that it names: {}",
                files.locate(found->path), missing.size(), named.size(), listed(missing));
  }
  return weights;
}

// The N of "model.layers.N.…", "transformer.h.N.…", "encoder.layer.N.…"; empty for other tensors.
std::optional<std::uint64_t> layer_of(std::string_view name) {
  for (const std::string_view word : {"layers.", ".h.", "blocks.", "layer.", "block."}) {
    std::size_t at = name.find(word);
    if (word == ".h." && at == std::string_view::npos && name.starts_with("h.")) at = 0;
    if (at == std::string_view::npos) continue;
    const auto digits = name.substr(at + (name.starts_with("h.") && at == 0 ? 2 : word.size()));
    std::uint64_t layer = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), layer);
    if (error == std::errc() && end != digits.data() + digits.size() && *end == '.') return layer;
  }
  return std::nullopt;
}

// Sums one tensor after the other.
class Summer {
 public:
  explicit Summer(const WeightQuestion& question) : question_(question) {
    sums_.sizes.layers.resize(question.layers);
  }

  void add(const SafetensorsTensor& tensor) {
    const std::string_view name = tensor.name;
    const bool encoder = mentions(name, kEncoderWords);
    const auto layer = encoder ? std::nullopt : layer_of(name);
    if (layer && *layer >= question_.layers) return;  // predicts ahead; not loaded
    if (name.starts_with("mtp.")) return;
    auto& sizes = sums_.sizes;
    const Bytes bytes{tensor.bytes};
    if (encoder) {
      sizes.encoders += bytes;
    } else if (layer) {
      sizes.layers[*layer] += bytes;
    } else if (mentions(name, kInputWords)) {
      sizes.input += bytes;
      if (name.ends_with("weight") && mentions(name, kTokenWords)) embeddings_ += bytes;
    } else if (is_head(name) && question_.tied) {
      return;  // a copy that engines do not load
    } else {
      sizes.output += bytes;
      has_head_ = has_head_ || is_head(name);
    }
    by_type_[tensor.type] += tensor.bytes;
    sums_.parameters += parameters_of(tensor);
    if (!encoder) note_sharing(tensor, layer.has_value());
  }

  WeightSums finish() {
    if (!has_head_ && embeddings_ > 0_B && question_.tied) {
      sums_.sizes.tied_output = true;
      sums_.sizes.tied_head = embeddings_;
    }
    sums_.dominant_type = dominating_type(by_type_);
    return std::move(sums_);
  }

 private:
  static constexpr auto kTokenWords =
      std::to_array<std::string_view>({"embed_tokens", "wte.", "word_embeddings", "tok_embeddings",
                                       "embed_in.", "embedding.weight", "embeddings.weight"});

  static bool is_head(std::string_view name) {
    return name.find("lm_head") != std::string_view::npos || name.starts_with("embed_out") ||
           name == "output.weight" || name.ends_with("output_layer.weight");
  }

  // Of packed integers, as many as their bits hold; scales and zero points are none.
  [[nodiscard]] std::uint64_t parameters_of(const SafetensorsTensor& tensor) const {
    const std::string_view name = tensor.name;
    constexpr auto kHelpers = std::to_array<std::string_view>(
        {".scales", ".qzeros", ".g_idx", "_scale", "_scale_inv", ".weight_shape", "_zero_point",
         ".absmax", ".quant_map", ".nested_", ".quant_state", ".weight_scale_2"});
    if (mentions(name, kHelpers)) return 0;
    const bool is_packed =
        name.ends_with(".qweight") || name.ends_with(".weight_packed") || name.ends_with("_blocks");
    if (is_packed && tensor.type == "I32" && question_.packed_bits != 0) {
      return tensor.elements * (32 / question_.packed_bits);
    }
    if (tensor.type == "U8" && (is_packed || question_.packed_bits == 4))
      return tensor.elements * 2;
    return tensor.elements;
  }

  void note_sharing(const SafetensorsTensor& tensor, bool in_layer) {
    const std::string_view name = tensor.name;
    auto& sizes = sums_.sizes;
    if (mentions(name, kReplicatedWords)) {
      sizes.replicated += {tensor.bytes};
    } else if (in_layer && mentions(name, kFusedWords)) {
      const std::uint64_t all = std::uint64_t{question_.heads} + 2ULL * question_.kv_heads;
      if (all != 0) sizes.key_value += {tensor.bytes / all * 2 * question_.kv_heads};
    } else if (in_layer && mentions(name, kKeyValueWords)) {
      sizes.key_value += {tensor.bytes};
    }
  }

  WeightQuestion question_;
  WeightSums sums_;
  std::map<std::string, std::uint64_t> by_type_;
  Bytes embeddings_;
  bool has_head_ = false;
};

}  // namespace

WeightFiles named_weights(const std::vector<FileEntry>& files, std::string_view folder) {
  for (const auto& kind : kKinds) {
    auto found = with_extension(files, folder, kind.extension);
    if (!found.empty()) return {.format = kind.format, .files = std::move(found), .index = {}};
  }
  return {};
}

Result<WeightFiles> find_weights(const FileSet& files, std::string_view folder) {
  auto named = named_weights(files.files(), folder);
  if (named.files.empty()) {
    // An index alone says what is missing.
    for (const auto& kind : kKinds) BERTH_CHECK(by_index(files, folder, kind.extension));
    return named;
  }
  const std::string_view first = named.files.front().path;
  BERTH_TRY(auto indexed, by_index(files, folder, first.substr(first.rfind('.'))));
  if (!indexed) return named;
  indexed->format = named.format;
  return *std::move(indexed);
}

Result<WeightSums> sum_safetensors(const FileSet& files, const WeightFiles& weights,
                                   const WeightQuestion& question) {
  Summer summer(question);
  std::unordered_set<std::string> names;
  for (const auto& file : weights.files) {
    BERTH_TRY(const auto source, files.open(file.path));
    BERTH_TRY(const auto header, read_safetensors(*source, files.locate(file.path)));
    for (const auto& tensor : header.tensors) {
      if (weights.files.size() > 1 && !names.insert(tensor.name).second) {
        return fail(ErrorCode::corrupt, "{}: tensor {}: it is in another file as well",
                    files.locate(file.path), printable(tensor.name));
      }
      summer.add(tensor);
    }
  }
  return summer.finish();
}

}  // namespace berth::formats
