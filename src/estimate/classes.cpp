#include "estimate/classes.h"

#include "estimate/compute_bound.h"

#include <algorithm>
#include <array>
#include <span>

namespace berth::estimate {
namespace {

// Up to so many bytes of weights it takes so much: on a GPU, and on the CPU alone.
struct SizeClass {
  Bytes weights;
  Bytes device;
  Bytes host;
};

// Measured with vox-box 0.0.x on CUDA and on CPUs.
constexpr std::array<SizeClass, 6> kWhisper = {{{100_MiB, 1_GiB, 1536_MiB},
                                                {200_MiB, 1_GiB, 1536_MiB},
                                                {500_MiB, 2_GiB, 3_GiB},
                                                {1536_MiB, 5_GiB, 7680_MiB},
                                                {1640_MiB, 6_GiB, 9_GiB},
                                                {3175_MiB, 10_GiB, 15_GiB}}};
constexpr std::array<SizeClass, 2> kBark = {{{2_GiB, 2_GiB, 3_GiB}, {5_GiB, 12_GiB, 18_GiB}}};
constexpr std::array<SizeClass, 1> kCosyVoice = {{{6_GiB, 3_GiB, 6_GiB}}};
constexpr std::array<SizeClass, 1> kDia = {{{7_GiB, 10_GiB, 10_GiB}}};
// Nothing was measured for these: the models are of some hundred MB and computed in 32 bits.
constexpr std::array<SizeClass, 2> kFunAsr = {{{1_GiB, 2_GiB, 3_GiB}, {4_GiB, 10_GiB, 12_GiB}}};

constexpr std::uint64_t kBeyond = 4;  // times its weights
// Main memory beside a GPU: the Python process with torch.
constexpr Bytes kBeside = 1_GiB;
constexpr Bytes kCosyVoiceBeside = 7_GiB;

std::span<const SizeClass> classes_of(std::string_view family) {
  if (family == "faster-whisper") return kWhisper;
  if (family == "bark") return kBark;
  if (family == "cosyvoice" || family == "cosyvoice2") return kCosyVoice;
  if (family == "dia") return kDia;
  if (family == "funasr") return kFunAsr;
  return {};
}

// A claim in which the weights are what they are, and the rest is computation.
model::DeviceClaim with_total(std::string device, Bytes weights, Bytes total) {
  model::DeviceClaim claim{.device = std::move(device), .weights = std::min(weights, total)};
  claim.compute = total - claim.weights;
  return claim;
}

// MindIE's own contexts and buffers on each NPU.
constexpr Bytes kMindieFootprint = 3_GiB;
constexpr Bytes kMindieHost = 512_MiB;

std::uint64_t rank_share(std::uint64_t count, std::uint64_t ranks) {
  return count == 0 ? 0 : std::max<std::uint64_t>(1, (count + ranks - 1) / ranks);
}

}  // namespace

Result<model::Claim> vox_box_claim(const model::ModelProfile& profile, const std::string& device) {
  const auto classes = classes_of(profile.architecture);
  if (classes.empty()) {
    return fail(ErrorCode::unsupported, "vox-box has no models of the kind \"{}\"",
                profile.architecture);
  }
  const Bytes weights = profile.total_size;
  const auto found =
      std::ranges::find_if(classes, [&](const SizeClass& one) { return weights <= one.weights; });
  const bool known = found != classes.end();
  const Bytes beyond{bounded_product({weights.count, kBeyond})};
  const bool is_host = device == "cpu";
  model::Claim claim;
  if (!is_host) {
    claim.devices.push_back(with_total(device, weights, known ? found->device : beyond));
    const bool cosy = profile.architecture.starts_with("cosyvoice");
    claim.devices.push_back(with_total("cpu", {}, cosy ? kCosyVoiceBeside : kBeside));
  } else {
    claim.devices.push_back(with_total("cpu", weights, known ? found->host : beyond));
  }
  return claim;
}

Result<model::Claim> mindie_claim(const model::ModelProfile& profile, const MindieOptions& options,
                                  const std::vector<std::string>& devices) {
  if (!profile.unknown_cache.empty()) {
    return fail(ErrorCode::unsupported, "the memory of its caches can not be computed: {}",
                profile.unknown_cache);
  }
  const auto& shape = profile.attention;
  const std::uint64_t ranks = std::max(options.ranks, 1U);
  std::uint64_t token = 0;  // elements, all layers
  for (const std::uint64_t heads : shape.kv_heads) {
    const std::uint64_t own = shape.latent ? heads : rank_share(heads, ranks);
    token += bounded_product({own, std::uint64_t{shape.key_length} + shape.value_length});
  }
  // One block of each sequence is computed on at once.
  const std::uint64_t computed = std::uint64_t{options.batch} * options.block;
  model::Claim claim;
  for (const auto& device : devices) {
    claim.devices.push_back(
        {.device = device,
         .weights = {(profile.total_size.count + ranks - 1) / ranks},
         .kv_cache = {bounded_product({token, options.context, options.cache_bytes})},
         .compute = {bounded_product({token, computed, options.weight_bytes})},
         .runtime = kMindieFootprint});
  }
  claim.devices.push_back({.device = "cpu", .runtime = kMindieHost + options.cpu_swap});
  return claim;
}

}  // namespace berth::estimate
