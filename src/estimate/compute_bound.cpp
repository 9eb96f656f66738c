#include "estimate/compute_bound.h"

#include <algorithm>

namespace berth::estimate {
namespace {

constexpr std::uint64_t kMost = 1ULL << 50;
constexpr std::uint64_t kMostExperts = 8;  // of one token at once

// A file has a head of its own, or the token embeddings serve as one. Encoders have neither.
bool has_head(const model::ModelProfile& profile) {
  return profile.weights.tied_output ||
         profile.weights.output.count > std::uint64_t{profile.embedding_length} * 8;
}

Bytes logits(const model::ModelProfile& profile, const GgufOptions& options) {
  const std::uint64_t outputs =
      options.outputs_for_all_tokens ? std::max(options.ubatch, options.slots) : options.slots;
  if (!has_head(profile)) return {bounded_product({outputs, profile.embedding_length, 4, 2})};
  return {bounded_product({outputs, profile.vocabulary, 4, 2})};
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
  const std::uint64_t tokens = options.ubatch;
  const std::uint64_t cells = padded_context(options.context);
  const std::uint64_t window =
      profile.attention.sliding_window == 0 ? 0 : window_cells(profile, options);
  const std::uint64_t feed_forward =
      std::uint64_t{profile.feed_forward_length} * (profile.experts == 0 ? 1 : kMostExperts);
  const std::uint64_t attention =
      std::uint64_t{profile.attention.heads} *
      std::max(profile.attention.key_length, profile.attention.value_length);
  const Bytes inputs{bounded_product({tokens, profile.embedding_length, 4, 4})};
  const Bytes activations{bounded_product(
      {tokens, 4, 4ULL * profile.embedding_length + 3 * feed_forward + 3 * attention})};
  Bytes masks{bounded_product({tokens, cells + window, 2})};
  Bytes scores;
  if (!options.flash_attention) {
    masks = masks * 4;
    scores = Bytes{bounded_product({tokens, cells, profile.attention.heads, 4})};
  }
  const Bytes rest = 512_KiB + logits(profile, options);
  using enum model::ComputeRole;
  switch (role) {
    case host_whole:
    case host_of_many:
      return masks + inputs + rest;
    case device_of_many:
      return masks * 4 + activations + Bytes{activations.count / 2} + scores + rest;
    case cpu_alone:
    case device_whole:
    case device_partly:
    case host_partly:
      return masks + activations + scores + rest;
    case projector_on_cpu:
    case projector_on_device:
      break;
  }
  return {};
}

Bytes host_runtime(const model::ModelProfile& profile) {
  return 64_MiB + Bytes{bounded_product({profile.vocabulary, 320})};
}

Bytes device_runtime() { return 512_MiB; }

}  // namespace berth::estimate
