#include "backends/llama_box/llama_box.h"

#include "backends/llama_box/projector.h"
#include "backends/values.h"

#include <algorithm>
#include <array>

namespace berth::backends::llama_box {
namespace {

constexpr std::uint32_t kDefaultSlots = 4;
constexpr std::uint32_t kDefaultCheckpoints = 4;
constexpr std::uint32_t kDeviceBatch = 512;
constexpr double kWeightsPerCore = 7e10;  // a second; gemma3-270m reads 519 tokens/s on two cores

constexpr std::array<std::string_view, 7> kStretchesContext = {
    "--rope-scaling",  "--rope-scale",      "--rope-freq-base", "--rope-freq-scale",
    "--yarn-orig-ctx", "--yarn-ext-factor", "--override-kv"};

// Flags that make the engine take memory that the claim does not know.
constexpr std::array<std::string_view, 6> kUncounted = {
    "--spec-draft-model",      "--spec-type",     "--lora", "--lora-scaled",
    "--control-vector-scaled", "--control-vector"};

tl::unexpected<Error> invalid(std::string message) {
  return fail(Error{
      .code = ErrorCode::invalid_parameter, .message = std::move(message), .field = "parameters"});
}

std::uint32_t cpu_batch(const model::ModelProfile& profile, std::uint32_t cores) {
  std::uint32_t batch = 256;
  if (profile.parameters == 0) return batch;
  const double speed =
      kWeightsPerCore * std::max(cores, 1U) / static_cast<double>(profile.parameters);
  while (batch > 32 && batch > speed) batch /= 2;
  return batch;
}

}  // namespace

bool reads_at_once(const model::ModelProfile& profile) {
  return profile.category == model::Category::embedding ||
         profile.category == model::Category::reranker;
}

Settings settings_of(const model::ModelProfile& profile, const ParsedParameters& parameters,
                     const model::Serving& serving, bool on_devices, std::uint32_t cores) {
  Settings settings;
  auto usual = reads_at_once(profile) ? estimate::padded_context(serving.context)
               : on_devices           ? kDeviceBatch
                                      : cpu_batch(profile, cores);
  const auto* projector = projector_of(profile, parameters).value_or(nullptr);
  if (projector != nullptr && projector->whole_images) usual = std::max(usual, kWholeImageBatch);
  const auto ubatch = number_of(parameters, "--ubatch-size");
  settings.batch =
      number_of(parameters, "--batch-size").value_or(std::max(usual, ubatch.value_or(0)));
  settings.ubatch = std::min(ubatch.value_or(std::max(usual, kDeviceBatch)), settings.batch);
  settings.cache_ram = number_of(parameters, "--cache-ram").value_or(0);
  const bool windowed = profile.attention.sliding_window != 0 && !reads_at_once(profile);
  if (windowed) {
    settings.checkpoints = number_of(parameters, "--ctx-checkpoints").value_or(kDefaultCheckpoints);
  }
  const auto cache_type = [&](std::string_view flag) {
    return estimate::parse_cache_type(text_of(parameters, flag, "f16"))
        .value_or(estimate::CacheType::f16);
  };
  settings.memory = {
      .context = serving.context,
      .slots = serving.slots,
      .ubatch = settings.ubatch,
      .key_type = cache_type("--cache-type-k"),
      .value_type = cache_type("--cache-type-v"),
      .flash_attention = text_of(parameters, "--flash-attn", "auto") != "off",
      .full_window_cache = has(parameters, "--swa-full"),
      .cache_on_devices = !has(parameters, "--no-kv-offload"),
      .batches_on_devices = !has(parameters, "--no-op-offload"),
      .outputs_for_all_tokens = reads_at_once(profile),
      .layers_may_stay_on_host = has(parameters, "--override-tensor") ||
                                 has(parameters, "--cpu-moe") || has(parameters, "--n-cpu-moe") ||
                                 has(parameters, "--n-cpu-ffn"),
      .checkpoints = settings.checkpoints,
      .prompt_cache = 1_MiB * settings.cache_ram,
  };
  return settings;
}

const BackendDescriptor& LlamaBox::descriptor() const { return llama_box_descriptor(); }

Result<void> LlamaBox::match(const model::ModelProfile& profile) const {
  if (profile.format != model::FileFormat::gguf) {
    return fail(
        ErrorCode::unsupported, "serves GGUF files only, and this is {}",
        profile.format == model::FileFormat::other ? "something else" : enum_name(profile.format));
  }
  if (profile.architecture == "clip" || profile.architecture == "adapter") {
    return fail(ErrorCode::unsupported, "can not serve {} alone; name the model that it belongs to",
                profile.architecture == "clip" ? "a projector" : "an adapter");
  }
  const auto& categories = descriptor().categories;
  if (std::find(categories.begin(), categories.end(), profile.category) == categories.end()) {
    return fail(ErrorCode::unsupported, "does not serve {} models in this version",
                enum_name(profile.category));
  }
  return {};
}

std::string LlamaBox::match_reason(const model::ModelProfile& profile) const {
  return fmt::format("the model is a GGUF file of a \"{}\" model", profile.architecture);
}

Result<model::Serving> LlamaBox::serving(const model::ModelProfile& profile,
                                         const ParsedParameters& parameters,
                                         bool has_devices) const {
  const auto trained = profile.context_length;
  model::Serving serving;
  serving.context = usual_context(profile);
  if (const auto wish = number_of(parameters, "--ctx-size")) {
    const bool stretched =
        std::any_of(kStretchesContext.begin(), kStretchesContext.end(),
                    [&](std::string_view flag) { return has(parameters, flag); });
    if (trained != 0 && *wish > trained && !stretched) {
      return invalid(
          fmt::format("--ctx-size {} is more than the {} tokens that the model was "
                      "trained for; give at most that, or rope scaling flags with it",
                      *wish, trained));
    }
    serving.context = *wish;
  }
  serving.slots = number_of(parameters, "--parallel").value_or(has_devices ? kDefaultSlots : 1);
  return serving;
}

std::uint64_t LlamaBox::engine_context(const model::Serving& serving) const {
  return std::uint64_t{estimate::padded_context(serving.context)} * serving.slots;
}

DeviceWish LlamaBox::device_wish(const ParsedParameters& parameters) const {
  DeviceWish wish;
  wish.layers = number_of(parameters, "--gpu-layers");
  std::string_view rest;
  const auto* split = parameters.find("--tensor-split");
  if (split != nullptr && split->value) rest = *split->value;
  while (!rest.empty()) {
    double value = 0;
    const auto [stop, error] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
    if (error != std::errc{}) break;
    wish.split.push_back(value);
    rest.remove_prefix(static_cast<std::size_t>(stop - rest.data()));
    if (rest.empty() || (rest.front() != ',' && rest.front() != '/')) break;
    rest.remove_prefix(1);
  }
  return wish;
}

Result<std::vector<std::string>> LlamaBox::check(const model::ModelProfile& profile,
                                                 const ParsedParameters& parameters) const {
  std::vector<std::string> warnings;
  const auto value_type = estimate::parse_cache_type(text_of(parameters, "--cache-type-v", "f16"));
  if (value_type && estimate::is_quantised(*value_type) &&
      text_of(parameters, "--flash-attn", "auto") == "off") {
    return invalid(
        "--cache-type-v with fewer than 16 bits needs flash attention; leave "
        "--flash-attn off out");
  }
  if (has(parameters, "--tensor-split")) {
    const auto wish = device_wish(parameters);
    double sum = 0;
    for (const double part : wish.split) sum += part < 0 ? -1e9 : part;
    const auto text = text_of(parameters, "--tensor-split", "");
    const auto parts = static_cast<std::size_t>(
        1 + std::count_if(text.begin(), text.end(), [](char c) { return c == ',' || c == '/'; }));
    if (sum <= 0 || wish.split.size() != parts || wish.split.size() > 16) {
      return invalid(
          fmt::format("--tensor-split must be proportions separated by commas, such as "
                      "3,1 (got \"{}\")",
                      text));
    }
  }
  if (const auto layers = number_of(parameters, "--gpu-layers");
      layers && *layers > 0 && profile.layer_count != 0 && *layers > profile.layer_count + 1) {
    warnings.push_back(fmt::format("--gpu-layers {} is more than the model's {}; it means all",
                                   *layers, profile.layer_count + 1));
  }
  BERTH_TRY(const auto* projector, projector_of(profile, parameters));
  if (projector != nullptr) BERTH_CHECK(check_batches(*projector, parameters));
  for (const auto flag : kUncounted) {
    if (!has(parameters, flag)) continue;
    warnings.push_back(
        fmt::format("the memory that {} takes is not in the estimate; a claim given "
                    "with the model replaces it",
                    flag));
  }
  return warnings;
}

// ggml-rpc-server takes each tensor whole before it gives it to its device, and no tensor of a
// layer is larger than the layer. Its own code and buffers: measured, 45 MiB.
Bytes LlamaBox::subordinate_host(const model::ModelProfile& profile) const {
  const auto& layers = profile.weights.layers;
  const auto largest = std::ranges::max_element(layers);
  return 64_MiB + (largest == layers.end() ? Bytes{} : *largest);
}

Result<model::Claim> LlamaBox::estimate(const EstimateRequest& request) const {
  std::vector<estimate::LayerShare> shares;
  shares.reserve(request.devices.size());
  for (const auto& share : request.devices) shares.push_back({share.device, share.layers});
  const auto settings = settings_of(request.profile, request.parameters, request.serving,
                                    !shares.empty(), request.cores);
  BERTH_TRY(auto claim,
            estimate::gguf_claim(request.profile, settings.memory, shares, request.compute));
  BERTH_TRY(const auto* projector, projector_of(request.profile, request.parameters));
  if (projector != nullptr) {
    estimate::add_projector(*projector, projector_options(request.parameters), claim,
                            request.compute);
  }
  return claim;
}

}  // namespace berth::backends::llama_box
