#include "backends/vllm/vllm.h"

#include "backends/values.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>

namespace berth::backends::vllm {
namespace {

using model::Category;
using model::FileFormat;

BackendDescriptor make_descriptor() {
  using enum ParameterType;
  return {
      .name = "vllm",
      .text = "Serves models in Hugging Face's format with vLLM.",
      .engines = {"vLLM"},
      .platforms = {"linux/amd64", "linux/arm64"},
      .worker_selector = {{"os", "linux"}},
      .categories = {Category::llm, Category::embedding, Category::reranker,
                     Category::speech_to_text},
      .division = Division::ranks,
      .several_workers = true,
      .spans_by_itself = true,
      .startable = false,
      .sharing =
          "a smaller --gpu-memory-utilization, or --kv-cache-memory-bytes, leaves room for it",
      .shares_cache = true,
      .context_flag = "--max-model-len",
      .slots_flag = "--max-num-seqs",
      .parameters = {{.flag = "--max-model-len",
                      .type = integer,
                      .owner = ParameterOwner::shared,
                      .text = "Longest request, prompt and answer, in tokens.",
                      .default_value = "8192, or the model's where it is less",
                      .minimum = 1},
                     {.flag = "--gpu-memory-utilization",
                      .type = number,
                      .text = "Part of each device's memory that vLLM takes.",
                      .default_value = "0.9",
                      .minimum = 0.01,
                      .maximum = 1},
                     {.flag = "--tensor-parallel-size",
                      .aliases = {"-tp"},
                      .type = integer,
                      .owner = ParameterOwner::shared,
                      .text = "Devices that share every layer.",
                      .default_value = "the devices of the placement",
                      .minimum = 1},
                     {.flag = "--pipeline-parallel-size",
                      .aliases = {"-pp"},
                      .type = integer,
                      .owner = ParameterOwner::shared,
                      .text = "Groups of devices that share the layers.",
                      .default_value = "1",
                      .minimum = 1},
                     {.flag = "--max-num-seqs",
                      .type = integer,
                      .text = "Requests that are computed at the same time, at most.",
                      .default_value = "256",
                      .minimum = 1},
                     {.flag = "--max-num-batched-tokens",
                      .type = integer,
                      .text = "Tokens that are computed at once.",
                      .default_value = "8192",
                      .minimum = 1},
                     {.flag = "--kv-cache-dtype",
                      .type = choice,
                      .text = "Type of the elements of the KV cache.",
                      .default_value = "auto",
                      .choices = {"auto", "bfloat16", "fp8", "fp8_e4m3", "fp8_e5m2", "fp8_inc",
                                  "fp8_ds_mla"}},
                     {.flag = "--kv-cache-memory-bytes",
                      .type = integer,
                      .text = "Bytes of the KV cache on each device, in place of what "
                              "--gpu-memory-utilization leaves.",
                      .minimum = 1},
                     {.flag = "--block-size",
                      .type = integer,
                      .text = "Tokens of a block of the KV cache.",
                      .default_value = "16; 128 on the CPU",
                      .minimum = 1,
                      .maximum = 256},
                     {.flag = "--enable-prefix-caching",
                      .type = flag,
                      .text =
                          "Keep the cache of prompts for others that begin alike (the default)."},
                     {.flag = "--no-enable-prefix-caching",
                      .type = flag,
                      .text = "Keep no cache of prompts that have been answered."},
                     {.flag = "--async-scheduling",
                      .type = flag,
                      .text = "Plan the next batch while one is computed (the default)."},
                     {.flag = "--no-async-scheduling",
                      .type = flag,
                      .text = "Plan a batch when the one before it is done."},
                     {.flag = "--enforce-eager",
                      .type = flag,
                      .text = "Compute without captured graphs: less memory, slower."},
                     {.flag = "--hf-overrides",
                      .text = "Changes of the model's config.json, as JSON."}},
      .variables = variables(),
  };
}

// The bytes given for `flag`; nothing where it is absent.
std::optional<Bytes> bytes_of(const ParsedParameters& parameters, std::string_view flag) {
  const auto* given = parameters.find(flag);
  if (given == nullptr || !given->value) return std::nullopt;
  Bytes bytes;
  const auto* end = given->value->data() + given->value->size();
  const auto [stop, error] = std::from_chars(given->value->data(), end, bytes.count);
  if (error != std::errc{} || stop != end) return std::nullopt;
  return bytes;
}

tl::unexpected<Error> invalid(std::string message) {
  return fail(Error{
      .code = ErrorCode::invalid_parameter, .message = std::move(message), .field = "parameters"});
}

}  // namespace

const BackendDescriptor& Vllm::descriptor() const {
  static const BackendDescriptor descriptor = make_descriptor();
  return descriptor;
}

Result<void> Vllm::match(const model::ModelProfile& profile) const {
  if (profile.format == FileFormat::gguf) {
    return fail(ErrorCode::unsupported, "is for models in Hugging Face's format, not for GGUF");
  }
  if (profile.format != FileFormat::safetensors && profile.format != FileFormat::pytorch) {
    return fail(ErrorCode::unsupported, "finds no safetensors or PyTorch weights here");
  }
  const auto& categories = descriptor().categories;
  if (std::ranges::find(categories, profile.category) == categories.end()) {
    return fail(ErrorCode::unsupported, "does not serve {} models", enum_name(profile.category));
  }
  if (profile.model_type.empty()) {
    return fail(ErrorCode::unsupported, "needs a config.json that says \"model_type\"");
  }
  return {};
}

std::string Vllm::match_reason(const model::ModelProfile& profile) const {
  return fmt::format("the model is a {} in Hugging Face's format, with {} weights",
                     profile.architecture, enum_name(profile.format));
}

Result<model::Serving> Vllm::serving(const model::ModelProfile& profile,
                                     const ParsedParameters& parameters,
                                     bool /*has_devices*/) const {
  const auto trained = profile.context_length;
  const auto wish = number_of(parameters, "--max-model-len");
  if (wish && trained != 0 && *wish > trained && !has(parameters, "--hf-overrides")) {
    return invalid(
        fmt::format("--max-model-len {} is more than the {} tokens that the model was made for; "
                    "give at most that, or rope scaling by --hf-overrides",
                    *wish, trained));
  }
  return model::Serving{.context = wish.value_or(usual_context(profile)), .slots = 1};
}

Result<std::vector<std::string>> Vllm::check(const model::ModelProfile& profile,
                                             const ParsedParameters& parameters) const {
  if (const auto ranks = number_of(parameters, "--tensor-parallel-size")) {
    BERTH_CHECK(estimate::check_tensor_parallel(profile, *ranks));
  }
  std::vector<std::string> warnings;
  if (profile.needs_own_code && parameters.find("--trust-remote-code") == nullptr) {
    warnings.emplace_back(
        "the model comes with Python code of its own; where vLLM asks for it, "
        "--trust-remote-code lets it run");
  }
  return warnings;
}

estimate::VllmOptions options_of(const model::ModelProfile& profile,
                                 const ParsedParameters& parameters, const model::Serving& serving,
                                 std::span<const std::string> devices) {
  const bool on_cpu = std::ranges::find(devices, "cpu") != devices.end();
  const auto groups = number_of(parameters, "--pipeline-parallel-size").value_or(1);
  const auto usual =
      static_cast<std::uint32_t>(std::max<std::size_t>(devices.size() / std::max(groups, 1U), 1));
  const bool small_cache = text_of(parameters, "--kv-cache-dtype", "auto").starts_with("fp8");
  // vLLM 0.32, platforms/cpu.py and config/vllm.py: the CPU plans one batch at a time, in other
  // blocks; so do models that write no text.
  const bool one_batch =
      on_cpu || profile.category != Category::llm || has(parameters, "--no-async-scheduling");
  const std::uint32_t usual_block = !on_cpu || profile.attention.latent ? 16 : 128;
  return {
      .context = serving.context,
      .tensor_parallel = number_of(parameters, "--tensor-parallel-size").value_or(usual),
      .pipeline_parallel = groups,
      .batched_tokens =
          number_of(parameters, "--max-num-batched-tokens").value_or(on_cpu ? 2048 : 8192),
      .batches = one_batch ? groups : groups + 1,
      .sequences = number_of(parameters, "--max-num-seqs").value_or(on_cpu ? 128 : 256),
      .cache_bytes = small_cache ? 1U : 2U,
      .block = number_of(parameters, "--block-size").value_or(usual_block),
      .prefix_caching = !has(parameters, "--no-enable-prefix-caching"),
      .graphs = !on_cpu && !has(parameters, "--enforce-eager"),
  };
}

Result<model::Claim> Vllm::estimate(const EstimateRequest& request) const {
  auto devices = devices_of(request);
  if (devices.empty()) devices.emplace_back("cpu");
  const auto options = options_of(request.profile, request.parameters, request.serving, devices);
  BERTH_CHECK(estimate::check_tensor_parallel(request.profile, options.tensor_parallel));
  BERTH_TRY(auto claim, estimate::vllm_claim(request.profile, options, devices));
  const auto given = bytes_of(request.parameters, "--kv-cache-memory-bytes");
  if (!given) return claim;
  for (auto& rank : claim.devices) {
    if (*given < rank.kv_cache) {
      return invalid(fmt::format(
          "--kv-cache-memory-bytes {} has no room for one request of {} tokens, which needs {}; "
          "give that, or a shorter --max-model-len",
          given->count, options.context, rank.kv_cache.count));
    }
    rank.kv_cache = *given;
  }
  return claim;
}

Bytes Vllm::usable(const ParsedParameters& parameters, Bytes memory) const {
  const double part =
      std::strtod(text_of(parameters, "--gpu-memory-utilization", "0.9").c_str(), nullptr);
  return {static_cast<std::uint64_t>(static_cast<double>(memory.count) * std::clamp(part, 0., 1.))};
}

// vLLM 0.32, v1/worker/gpu_worker.py: it refuses to start where less than its part is free, and
// gives the rest of that to the cache. Without a cache to fill, Berth asks for the part that is
// needed.
bool Vllm::fills_devices(const model::ModelProfile& profile,
                         const ParsedParameters& parameters) const {
  return !has(parameters, "--kv-cache-memory-bytes") &&
         (profile.category == Category::llm || has(parameters, "--gpu-memory-utilization"));
}

DeviceWish Vllm::device_wish(const ParsedParameters& parameters) const {
  const auto tensor = number_of(parameters, "--tensor-parallel-size");
  const auto groups = number_of(parameters, "--pipeline-parallel-size");
  if (!tensor && !groups) return {};
  return {.ranks = tensor.value_or(1) * groups.value_or(1)};
}

std::uint64_t Vllm::cached_tokens(const model::ModelProfile& profile,
                                  const ParsedParameters& parameters, const model::Claim& claim,
                                  Bytes usable) const {
  if (claim.devices.empty()) return 0;
  std::vector<std::string> devices;
  devices.reserve(claim.devices.size());
  for (const auto& rank : claim.devices) devices.push_back(rank.device);
  const auto served = serving(profile, parameters, true);
  if (!served) return 0;
  const auto& rank = claim.devices.front();
  const Bytes rest = usable - (rank.total() - rank.kv_cache);
  return estimate::vllm_cached_tokens(
             profile, options_of(profile, parameters, *served, devices),
             bytes_of(parameters, "--kv-cache-memory-bytes").value_or(rest))
      .value_or(0);
}

}  // namespace berth::backends::vllm
