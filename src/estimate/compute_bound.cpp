#include "estimate/compute_bound.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace berth::estimate {
namespace {

constexpr std::uint64_t kMost = 1ULL << 50;
// With fewer tokens at once, a device leaves the host's layers to the host (ggml-cuda: offload_op).
constexpr std::uint32_t kOffloadBatch = 32;
constexpr std::uint64_t kPipelined = 4;  // GGML_SCHED_MAX_COPIES
// What is small and in no formula: positions, indices, results of single tokens, padding.
constexpr Bytes kSlack{512 << 10};

// Lengths of a head for which ggml's CUDA backend has flash attention (fattn.cu); the last two with
// several queries to a key. Where devices have none it is off, on the host too.
constexpr auto kKernelLengths =
    std::to_array<std::uint32_t>({40, 64, 72, 80, 96, 112, 128, 192, 256, 512, 576});

// Architectures whose feed-forward has no gate: one matrix less is computed.
constexpr auto kUngated = std::to_array<std::string_view>({"bert", "falcon", "starcoder2"});

// One pass over the input, and no language head: BERT and its kin.
bool is_encoder(const model::ModelProfile& profile) {
  return profile.category != model::Category::llm && profile.recurrent.layers.empty() &&
         std::ranges::all_of(profile.attention.kv_heads, [](auto heads) { return heads == 0; });
}

Bytes largest_layer(const model::ModelProfile& profile) {
  const auto& layers = profile.weights.layers;
  return layers.empty() ? Bytes{} : std::ranges::max(layers);
}

// The feed-forward length of one expert. Files of models whose first layers are dense say the
// length of those; the experts' follows from the size of a layer, half again for its types.
std::uint64_t expert_length(const model::ModelProfile& profile) {
  const double bytes = static_cast<double>(profile.total_size.count);
  const double elements = static_cast<double>(largest_layer(profile).count) *
                          static_cast<double>(profile.parameters) / bytes;
  const double matrices = 3.0 * profile.embedding_length * profile.experts;
  const double length = 1.5 * elements / matrices;
  if (!(length > 0 && length < profile.feed_forward_length)) return profile.feed_forward_length;
  return static_cast<std::uint64_t>(length);
}

// The sizes that all roles are made of.
class Terms {
 public:
  Terms(const model::ModelProfile& profile, const GgufOptions& options, bool flash_attention)
      : profile_(profile),
        options_(options),
        flash_attention_(flash_attention),
        cells_(padded_context(options.context)),
        kv_heads_(
            profile.attention.kv_heads.empty() ? 0 : std::ranges::max(profile.attention.kv_heads)),
        used_(profile.experts == 0 ? 1 : std::max(profile.experts_used, 1U)) {
    const auto& attention = profile.attention;
    attention_ = std::uint64_t{attention.heads} *
                 std::max({attention.key_length, attention.value_length,
                           attention.windowed_key_length, attention.windowed_value_length});
    kept_ =
        bounded_product({kv_heads_, std::uint64_t{attention.key_length} + attention.value_length});
  }

  [[nodiscard]] Bytes embeddings(std::uint64_t count) const {
    return floats(bounded_product({count, profile_.embedding_length}));
  }

  [[nodiscard]] bool has_state() const { return !profile_.recurrent.layers.empty(); }

  // Masks, where values go in the cache, and what quantised ones are rotated with.
  [[nodiscard]] Bytes inputs() const {
    if (has_state() && kv_heads_ == 0) return {};  // no attention at all
    const auto& attention = profile_.attention;
    const bool windowed = attention.sliding_window != 0;
    const Bytes indices{bounded_product({options_.ubatch, 64})};
    return masks(windowed) + rotations() * (windowed ? 2 : 1) + indices;
  }

  // What the host keeps of them: logits of each slot's last token, or embeddings.
  [[nodiscard]] Bytes results() const {
    return Bytes{bounded_product({options_.slots, profile_.vocabulary, 4})} +
           embeddings(options_.outputs_for_all_tokens ? 1 : 0);
  }

  // The largest of what is computed one after another.
  [[nodiscard]] Bytes largest(bool on_device) const {
    return std::max({feed_forward(), attention(on_device), recurrent(), logits()});
  }

  // With a copy of what lies on the host: a layer's cache, or a weight.
  [[nodiscard]] Bytes largest_with_copies() const {
    const std::uint64_t cached = bounded_product({cells_, options_.slots, kept_ / 2 + 1});
    const Bytes cache =
        cache_bytes(options_.key_type, cached) + cache_bytes(options_.value_type, cached);
    // No weight is more than three fifths of a layer: two matrices of different types. Both are
    // there at once where they run beside attention (falcon).
    const Bytes weight{largest_layer(profile_).count / 5 * (lengths() == 1 ? 4 : 3)};
    const Bytes beside = embeddings(is_encoder(profile_) ? 5 : 6) +
                         floats(bounded_product({lengths(), used_, inner()}));
    return std::max({largest(true), attention(true) + cache, beside + weight});
  }

 private:
  // So many for each token.
  [[nodiscard]] Bytes floats(std::uint64_t count) const {
    return {bounded_product({options_.ubatch, count, 4})};
  }

  [[nodiscard]] Bytes masks(bool windowed) const {
    const auto& attention = profile_.attention;
    const std::uint64_t window = windowed ? window_cells(profile_, options_) : 0;
    const std::uint64_t masked = bounded_product({options_.ubatch, cells_ + window});
    if (flash_attention_) return {bounded_product({masked, 2})};
    const std::uint64_t values =
        bounded_product({options_.ubatch, kv_heads_, attention.value_length, windowed ? 2U : 1U});
    return Bytes{bounded_product({masked, 4})} + Bytes{bounded_product({values, 8})};
  }

  // Two square matrices of a head's length (llama_kv_cache::build_input_k_rot).
  [[nodiscard]] Bytes rotations() const {
    const std::uint64_t key = is_quantised(options_.key_type) ? profile_.attention.key_length : 0;
    const std::uint64_t value =
        is_quantised(options_.value_type) ? profile_.attention.value_length : 0;
    return Bytes{bounded_product({key, key, 4})} + Bytes{bounded_product({value, value, 4})};
  }

  [[nodiscard]] Bytes logits() const {
    if (is_encoder(profile_)) return {};
    const std::uint64_t outputs = options_.outputs_for_all_tokens
                                      ? std::max(options_.ubatch, options_.slots)
                                      : options_.slots;
    return Bytes{bounded_product({outputs, profile_.vocabulary, 4})} + embeddings(5);
  }

  // Results as long as a feed-forward that are there at once.
  [[nodiscard]] std::uint64_t lengths() const {
    return std::ranges::find(kUngated, profile_.architecture) == kUngated.end() ? 3 : 1;
  }

  [[nodiscard]] std::uint64_t inner() const {
    return profile_.experts == 0 ? profile_.feed_forward_length : expert_length(profile_);
  }

  [[nodiscard]] Bytes feed_forward() const {
    const std::uint64_t dense = bounded_product({lengths(), profile_.feed_forward_length});
    if (profile_.experts == 0) return embeddings(5) + floats(dense);
    const std::uint64_t routed = std::max(bounded_product({4, used_, inner()}),
                                          bounded_product({3, used_, profile_.embedding_length}));
    return embeddings(5) + floats(std::max(dense, routed + std::uint64_t{profile_.experts} * 8));
  }

  [[nodiscard]] Bytes attention(bool on_device) const {
    Bytes size =
        embeddings(has_state() ? 10 : 6) + floats(bounded_product({3, attention_}) + kept_);
    if (!flash_attention_) {
      size += Bytes{bounded_product({options_.ubatch, cells_, profile_.attention.heads, 4})};
    } else if (on_device && is_quantised(options_.key_type)) {
      // Latent values are a view of the keys, and become a copy of their own.
      const std::uint64_t views = profile_.attention.latent ? 2 : 1;
      size += Bytes{bounded_product({cells_, options_.slots, kept_, views, 2})};
    }
    return size;
  }

  [[nodiscard]] Bytes recurrent() const {
    if (!has_state()) return {};
    return embeddings(19) +
           Bytes{bounded_product({profile_.recurrent.state_elements, options_.slots, 3, 4})};
  }

  const model::ModelProfile& profile_;
  const GgufOptions& options_;
  bool flash_attention_;
  std::uint64_t cells_;
  std::uint64_t kv_heads_;
  std::uint64_t used_;
  std::uint64_t attention_ = 0;  // queries of a token
  std::uint64_t kept_ = 0;       // keys and values of a token and layer
};

// Whether the engine, left to choose, has flash attention.
bool flashes(const model::ModelProfile& profile, const GgufOptions& options,
             model::ComputeRole role) {
  if (!options.flash_attention || role == model::ComputeRole::cpu_alone) {
    return options.flash_attention;
  }
  using enum model::ComputeRole;
  const bool on_host = role == host_whole || role == host_partly || role == host_of_many;
  const bool partly = role == device_partly || role == host_partly;
  const bool split =
      (partly && !options.batches_on_devices) || (on_host && !options.cache_on_devices);
  if (profile.architecture.starts_with("lfm2") && split) return false;  // as the judge has it
  return std::ranges::find(kKernelLengths, profile.attention.key_length) != kKernelLengths.end();
}

}  // namespace

std::uint64_t bounded_product(std::initializer_list<std::uint64_t> factors) {
  std::uint64_t product = 1;
  for (const auto factor : factors) {
    if (__builtin_mul_overflow(product, factor, &product)) return kMost;
  }
  return std::min(product, kMost);
}

Bytes compute_bound(const model::ModelProfile& profile, const GgufOptions& options,
                    model::ComputeRole role) {
  using enum model::ComputeRole;
  const Terms terms(profile, options, flashes(profile, options, role));
  const Bytes results = terms.results() + kSlack;
  const bool recurrent = !profile.recurrent.layers.empty();
  const std::uint64_t kept = is_encoder(profile) ? 5 : 4;  // of the host, beside devices
  const std::uint64_t pipelined = recurrent ? 24 : is_encoder(profile) ? 10 : 12;
  switch (role) {
    case cpu_alone:
      break;
    case device_whole: {
      const Bytes copies = terms.embeddings(options.cache_on_devices ? 0 : 4);
      return terms.inputs() + terms.largest(true) + copies + kSlack;
    }
    case host_whole:
      // The host computes on the states that lie there.
      if (recurrent && !options.cache_on_devices) break;
      return terms.inputs() + terms.embeddings(kept) + results;
    case device_partly:
      return terms.inputs() + kSlack +
             (options.batches_on_devices ? terms.largest_with_copies() : terms.largest(true));
    case host_partly:
      if (recurrent || !options.batches_on_devices || options.ubatch < kOffloadBatch) break;
      return terms.inputs() + terms.embeddings(kept + 1) + results;
    case device_of_many:
      return terms.inputs() * kPipelined + terms.embeddings(pipelined) + terms.largest(true) +
             kSlack;
    case host_of_many:
      return terms.inputs() * kPipelined + terms.embeddings(kept + 6) + results;
    case projector_on_cpu:
    case projector_on_device:
      return {};
  }
  return terms.inputs() + terms.embeddings(1) + terms.largest(false) + results;
}

Bytes host_runtime(const model::ModelProfile& profile) {
  return 64_MiB + Bytes{bounded_product({profile.vocabulary, 320})};
}

Bytes device_runtime(std::string_view device) {
  return device.starts_with("rpc:") ? 64_MiB : 512_MiB;
}

}  // namespace berth::estimate
