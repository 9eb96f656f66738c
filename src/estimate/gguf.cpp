#include "estimate/gguf.h"

#include "estimate/compute_bound.h"
#include "estimate/measured.h"

#include <algorithm>
#include <array>

namespace berth::estimate {
namespace {

constexpr std::uint64_t kBlock = 32;
constexpr std::uint32_t kCells = 256;

struct CacheTypeInfo {
  std::string_view name;
  CacheType type;
  std::uint64_t block_bytes;  // of 32 elements
};
constexpr std::array kCacheTypes = {
    CacheTypeInfo{"f32", CacheType::f32, 128},      CacheTypeInfo{"f16", CacheType::f16, 64},
    CacheTypeInfo{"bf16", CacheType::bf16, 64},     CacheTypeInfo{"q8_0", CacheType::q8_0, 34},
    CacheTypeInfo{"q5_1", CacheType::q5_1, 24},     CacheTypeInfo{"q5_0", CacheType::q5_0, 22},
    CacheTypeInfo{"q4_1", CacheType::q4_1, 20},     CacheTypeInfo{"q4_0", CacheType::q4_0, 18},
    CacheTypeInfo{"iq4_nl", CacheType::iq4_nl, 18},
};

bool is_windowed(const model::ModelProfile& profile, std::size_t layer) {
  return profile.attention.sliding_window != 0 && layer < profile.attention.windowed.size() &&
         profile.attention.windowed[layer];
}

// The cells of one layer's cache.
Bytes cells_size(const model::ModelProfile& profile, const GgufOptions& options, std::size_t layer,
                 std::uint64_t cells, std::uint64_t slots) {
  const auto& attention = profile.attention;
  const std::uint64_t heads = attention.kv_heads[layer];
  const bool own = is_windowed(profile, layer) && attention.windowed_key_length != 0;
  const auto size = [&](CacheType type, std::uint64_t length) {
    return cache_bytes(type, bounded_product({heads, length, cells, slots}));
  };
  return size(options.key_type, own ? attention.windowed_key_length : attention.key_length) +
         size(options.value_type, own ? attention.windowed_value_length : attention.value_length);
}

// The state of a recurrent layer, in f32, for each sequence.
Bytes recurrent_state(const model::ModelProfile& profile, const GgufOptions& options,
                      std::size_t layer) {
  const auto& recurrent = profile.recurrent;
  if (layer >= recurrent.layers.size() || !recurrent.layers[layer]) return {};
  return {bounded_product({recurrent.state_elements, 4, options.slots})};
}

// The compute buffers of one layout: as measured, else the bound.
class Buffers {
 public:
  Buffers(const model::ModelProfile& profile, const GgufOptions& options,
          const model::ComputeTable* compute)
      : profile_(profile), options_(options), compute_(compute) {}

  // What is split over several devices, or between them and the host, is measured by one example:
  // another split may need as much as the other example. Logits are computed where the output
  // layer lies.
  Bytes of_device(bool one_of_many, bool has_all, bool has_output) {
    using enum model::ComputeRole;
    // Inputs are pipelined only where devices have all layers (llama_context).
    const auto role = one_of_many && has_all ? device_of_many : device_whole;
    const Bytes size = of(role, has_output);
    return has_all && !may_copy(role) ? size : std::max(size, of(device_partly, has_output));
  }
  Bytes of_host(std::size_t devices, bool they_have_all) {
    using enum model::ComputeRole;
    if (devices == 0) return of(cpu_alone, true);
    if (!they_have_all) return of(host_partly, false);
    const auto role = devices == 1 ? host_whole : host_of_many;
    const Bytes size = of(role, false);
    return may_copy(role) ? std::max(size, of(host_partly, false)) : size;
  }
  [[nodiscard]] bool all_measured() const { return all_measured_; }

 private:
  // Whether layers of a device may yet lie on the host; what is measured has that in it.
  bool may_copy(model::ComputeRole role) const {
    return options_.layers_may_stay_on_host && measured(compute_, role, options_) == nullptr;
  }
  Bytes of(model::ComputeRole role, bool has_output) {
    const auto* figure = measured(compute_, role, options_);
    if (figure != nullptr) return figure->size;
    all_measured_ = false;
    auto own = options_;
    own.outputs_for_all_tokens = options_.outputs_for_all_tokens && has_output;
    return compute_bound(profile_, own, role);
  }

  const model::ModelProfile& profile_;
  const GgufOptions& options_;
  const model::ComputeTable* compute_;
  bool all_measured_ = true;
};

Result<void> check_profile(const model::ModelProfile& profile, const GgufOptions& options) {
  const auto layers = profile.weights.layers.size();
  if (layers == 0 || layers != profile.layer_count) {
    return fail(ErrorCode::unsupported, "the file does not say how large each of its {} layers is",
                profile.layer_count);
  }
  if (profile.attention.kv_heads.size() != layers) {
    return fail(ErrorCode::unsupported,
                "the file does not say how much cache each layer of a \"{}\" model keeps",
                profile.architecture);
  }
  if (options.context == 0 || options.slots == 0 || options.ubatch == 0) {
    return fail(ErrorCode::invalid_parameter, "context, slots and batch must be at least 1");
  }
  return {};
}

}  // namespace

std::optional<CacheType> parse_cache_type(std::string_view name) {
  for (const auto& info : kCacheTypes) {
    if (info.name == name) return info.type;
  }
  return std::nullopt;
}

Bytes cache_bytes(CacheType type, std::uint64_t elements) {
  const auto* info = std::find_if(kCacheTypes.begin(), kCacheTypes.end(),
                                  [&](const CacheTypeInfo& row) { return row.type == type; });
  return {bounded_product({(elements + kBlock - 1) / kBlock, info->block_bytes})};
}

bool is_quantised(CacheType type) {
  return type != CacheType::f32 && type != CacheType::f16 && type != CacheType::bf16;
}

std::uint32_t padded_context(std::uint32_t tokens) {
  constexpr std::uint32_t kLargest = 0xffffff00U;
  if (tokens >= kLargest) return kLargest;
  return (tokens + kCells - 1) / kCells * kCells;
}

std::uint32_t window_cells(const model::ModelProfile& profile, const GgufOptions& options) {
  const auto all = padded_context(options.context);
  if (options.full_window_cache) return all;
  const std::uint64_t wanted = std::uint64_t{profile.attention.sliding_window} + options.ubatch;
  return padded_context(static_cast<std::uint32_t>(std::min<std::uint64_t>(all, wanted)));
}

Bytes layer_cache(const model::ModelProfile& profile, const GgufOptions& options,
                  std::size_t layer) {
  if (layer >= profile.attention.kv_heads.size()) return {};
  const auto state = recurrent_state(profile, options, layer);
  if (profile.attention.kv_heads[layer] == 0) return state;
  const std::uint64_t cells = is_windowed(profile, layer) ? window_cells(profile, options)
                                                          : padded_context(options.context);
  return state + cells_size(profile, options, layer, cells, options.slots);
}

Result<model::Claim> gguf_claim(const model::ModelProfile& profile, const GgufOptions& options,
                                std::span<const LayerShare> shares,
                                const model::ComputeTable* compute) {
  BERTH_CHECK(check_profile(profile, options));
  const auto& weights = profile.weights;
  const std::uint32_t layers = profile.layer_count;
  std::uint64_t wanted = 0;
  std::size_t used = 0;
  for (const auto& share : shares) {
    wanted += share.layers;
    if (share.layers != 0) ++used;
  }
  if (wanted > std::uint64_t{layers} + 1) {
    return fail(ErrorCode::invalid_parameter, "{} layers on devices, but the model has only {}",
                wanted, layers + 1);
  }
  const auto on_devices = static_cast<std::uint32_t>(wanted);

  model::DeviceClaim host{.device = "cpu", .runtime = host_runtime(profile)};
  host.weights = weights.input;
  model::Claim claim;
  claim.layers = model::LayerSplit{.on_devices = on_devices, .total = layers + 1};

  // Layers 0 to first − 1 stay on the host; layer `layers` is the output.
  const std::uint32_t first = layers + 1 - on_devices;
  std::uint32_t next = 0;
  const auto take = [&](model::DeviceClaim& device, std::uint32_t count, bool is_host) {
    for (; count != 0; --count, ++next) {
      if (next == layers) {
        // A tied head is the input's tensor: no second copy where the input lies already.
        device.weights += weights.output;
        if (!is_host && weights.tied_output) device.weights += weights.tied_head;
        continue;
      }
      device.weights += weights.layers[next];
      if (!is_host && options.layers_may_stay_on_host) host.weights += weights.layers[next];
      auto& keeper = !is_host && !options.cache_on_devices ? host : device;
      keeper.kv_cache += layer_cache(profile, options, next);
    }
  };
  take(host, first, true);
  Buffers buffers(profile, options, compute);
  for (const auto& share : shares) {
    model::DeviceClaim device{.device = share.device};
    take(device, share.layers, false);
    if (share.layers != 0) {
      // `next` is the layer after its last; the one after all is the output.
      device.compute = buffers.of_device(used > 1, first == 0, next > layers);
      device.runtime = device_runtime(share.device);
    }
    claim.devices.push_back(std::move(device));
    claim.layers->per_device.push_back(share.layers);
  }

  host.compute = buffers.of_host(used, first == 0);
  // Where flags move tensors about, the engine knows where they go; else both sides count them.
  if (options.layers_may_stay_on_host && claim.devices.size() == 1 && first == 0) {
    const auto* on_device = measured(compute, model::ComputeRole::device_whole, options);
    const auto* beside = measured(compute, model::ComputeRole::host_whole, options);
    if (on_device != nullptr && beside != nullptr && on_device->weights.count != 0) {
      claim.devices.front().weights = on_device->weights;
      host.weights = beside->weights;
    }
  }
  claim.method = buffers.all_measured() ? model::ClaimMethod::judged : model::ClaimMethod::computed;
  Bytes checkpoint;
  for (std::uint32_t layer = 0; layer < layers; ++layer) {
    if (is_windowed(profile, layer)) {
      checkpoint += cells_size(profile, options, layer, window_cells(profile, options), 1);
    }
  }
  host.runtime += Bytes{bounded_product({checkpoint.count, options.checkpoints, options.slots})};
  host.runtime += options.prompt_cache;
  claim.devices.push_back(std::move(host));
  return claim;
}

}  // namespace berth::estimate
