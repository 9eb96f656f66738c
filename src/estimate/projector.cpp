#include "estimate/projector.h"

#include "estimate/compute_bound.h"
#include "estimate/measured.h"

#include <algorithm>
#include <array>

namespace berth::estimate {
namespace {

// Lengths of a head for which ggml's CUDA backend has flash attention (fattn.cu).
constexpr auto kKernelLengths = std::to_array<std::uint32_t>({40, 64, 72, 80, 96, 112, 128, 256});

bool has_kernel(const model::EncoderShape& encoder) {
  if (encoder.heads == 0) return false;
  return std::ranges::find(kKernelLengths, encoder.embedding_length / encoder.heads) !=
         kKernelLengths.end();
}

}  // namespace

std::uint64_t patches_at_once(const model::Projector& projector, const ProjectorOptions& options) {
  const auto& encoder = projector.encoder;
  if (encoder.most_tokens == 0) return encoder.patches;
  const std::uint32_t usual = std::min(encoder.most_tokens, kMostImageTokens);
  const std::uint32_t most = options.most_tokens.value_or(0);  // 0 is the projector's own
  return bounded_product({most == 0 ? usual : most, encoder.merge, encoder.merge});
}

Bytes projector_compute(const model::Projector& projector, const ProjectorOptions& options) {
  const auto& encoder = projector.encoder;
  const std::uint64_t patches = patches_at_once(projector, options);
  const std::uint64_t feed_forward = encoder.feed_forward_length * (encoder.gated ? 2ULL : 1ULL);
  const std::uint64_t merged = std::uint64_t{encoder.merge} * encoder.merge;
  Bytes bound{
      bounded_product({patches, 4, 6ULL * encoder.embedding_length + feed_forward}) +
      bounded_product({patches, encoder.patch_size, encoder.patch_size, 3, 4}) +
      bounded_product({patches / std::max<std::uint64_t>(merged, 1) + 1, projector.width, 2, 4})};
  if (encoder.windowed) bound += Bytes{bounded_product({patches, patches, 6})};
  if (!options.flash_attention || (options.on_device && !has_kernel(encoder))) {
    bound += Bytes{bounded_product({patches, patches, encoder.heads, 4})};
  }
  return bound;
}

void add_projector(const model::Projector& projector, const ProjectorOptions& options,
                   model::Claim& claim, const model::ComputeTable* compute) {
  if (claim.devices.empty()) return;
  auto own = options;
  own.on_device = options.on_device && claim.devices.front().device != "cpu";
  auto& place = own.on_device ? claim.devices.front() : claim.devices.back();
  place.weights += projector.size;
  using enum model::ComputeRole;
  const auto role = own.on_device ? projector_on_device : projector_on_cpu;
  if (const auto found = measured_at_most(compute, role)) {
    // The file, which is the claim's weights, is longer than its tensors.
    place.compute += std::max(*found, projector.size) - projector.size;
    return;
  }
  place.compute += projector_compute(projector, own);
  claim.method = model::ClaimMethod::computed;
}

}  // namespace berth::estimate
