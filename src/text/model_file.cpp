#include "text/model_file.h"

#include <numeric>

namespace berth::text {
namespace {

struct ModelEntry {
  std::string name;
  model::FileFormat format = model::FileFormat::gguf;
  std::string architecture;
  model::Category category = model::Category::llm;
  std::uint32_t layers = 0;
  json::value layer;  // the bytes of each, a list of them, or "unknown"
  Bytes input;
  Bytes output;
  Bytes encoders;
  std::uint64_t parameters = 0;
  std::uint32_t context = 32768;
  std::uint32_t heads = 32;
  std::uint32_t kv_heads = 8;
  std::uint32_t key_length = 128;
  std::optional<std::uint32_t> value_length;
  std::uint32_t embedding = 4096;
  std::uint32_t feed_forward = 14336;
  std::uint32_t vocabulary = 128256;
  std::uint32_t experts = 0;
  std::uint32_t experts_used = 0;
  std::string quantization;
  std::string weight_type;
};
BOOST_DESCRIBE_STRUCT(ModelEntry, (),
                      (name, format, architecture, category, layers, layer, input, output, encoders,
                       parameters, context, heads, kv_heads, key_length, value_length, embedding,
                       feed_forward, vocabulary, experts, experts_used, quantization, weight_type))
constexpr FieldInfo kModelFields[] = {
    {.name = "layers",
     .text = "how many repeating layers it has",
     .minimum = 1,
     .maximum = 1000,
     .required = true},
    {.name = "layer", .text = "the bytes of one layer, such as 200MiB", .required = true},
    {.name = "heads", .text = "attention heads", .minimum = 1, .maximum = 1024},
    {.name = "kv_heads", .text = "heads of keys and values", .minimum = 0, .maximum = 1024},
    {.name = "context", .text = "tokens that it was trained for", .minimum = 1},
};
constexpr std::span<const FieldInfo> field_table(const ModelEntry*) { return kModelFields; }

Result<std::vector<Bytes>> layers_of(const ModelEntry& entry) {
  if (entry.layer == json::value("unknown")) return std::vector<Bytes>();
  if (!entry.layer.is_array()) {
    auto size = from_json<Bytes>(entry.layer, UnknownMembers::refuse);
    if (!size) return fail(std::move(size).error().with_field("layer"));
    return std::vector<Bytes>(entry.layers, *size);
  }
  auto sizes = from_json<std::vector<Bytes>>(entry.layer, UnknownMembers::refuse);
  if (!sizes) return fail(std::move(sizes).error().with_field("layer"));
  if (sizes->size() != entry.layers) {
    return fail(make_error(ErrorCode::invalid_parameter,
                           "layer lists {} sizes, and there are {} layers; give one size for all, "
                           "or one for each",
                           sizes->size(), entry.layers)
                    .with_field("layer"));
  }
  return sizes;
}

}  // namespace

Result<model::ModelProfile> profile_of(const json::value& value) {
  BERTH_TRY(const auto entry, from_json<ModelEntry>(value, UnknownMembers::refuse));
  const bool is_gguf = entry.format == model::FileFormat::gguf;
  model::ModelProfile profile{.format = entry.format, .name = entry.name};
  profile.architecture = !entry.architecture.empty() ? entry.architecture
                         : is_gguf                   ? "llama"
                                                     : "LlamaForCausalLM";
  profile.category = entry.category;
  profile.quantization = entry.quantization;
  profile.weight_type = entry.weight_type.empty() && !is_gguf ? "BF16" : entry.weight_type;
  profile.context_length = entry.context;
  profile.layer_count = entry.layers;
  profile.embedding_length = entry.embedding;
  profile.feed_forward_length = entry.feed_forward;
  profile.vocabulary = entry.vocabulary;
  profile.experts = entry.experts;
  profile.experts_used = entry.experts_used;
  profile.attention = {.heads = entry.heads,
                       .kv_heads = std::vector<std::uint32_t>(entry.layers, entry.kv_heads),
                       .key_length = entry.key_length,
                       .value_length = entry.value_length.value_or(entry.key_length)};
  auto& weights = profile.weights;
  BERTH_TRY(weights.layers, layers_of(entry));
  weights.input = entry.input;
  weights.output = entry.output;
  weights.encoders = entry.encoders;
  profile.total_size = std::accumulate(weights.layers.begin(), weights.layers.end(),
                                       entry.input + entry.output + entry.encoders);
  // Two bytes each, where nothing is said: what is large is slow, whatever its precision.
  profile.parameters = entry.parameters != 0 ? entry.parameters : profile.total_size.count / 2;
  const std::string file = entry.name.empty() ? "model" : entry.name;
  profile.files = {{.path = fmt::format("/models/{}.{}", file, is_gguf ? "gguf" : "safetensors"),
                    .size = profile.total_size}};
  return profile;
}

}  // namespace berth::text
