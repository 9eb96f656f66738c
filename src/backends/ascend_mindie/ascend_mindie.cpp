#include "backends/ascend_mindie/ascend_mindie.h"

#include "backends/values.h"
#include "estimate/classes.h"
#include "estimate/vllm.h"

#include <algorithm>

namespace berth::backends::ascend_mindie {
namespace {

using model::Category;
using model::FileFormat;

// The parameters that memory depends on; the whole table comes with the launch.
BackendDescriptor make_descriptor() {
  using enum ParameterType;
  return {
      .name = "ascend-mindie",
      .text = "Serves language and vision models on Ascend NPUs with MindIE.",
      .engines = {"MindIE"},
      .platforms = {"linux/arm64", "linux/amd64"},
      .categories = {Category::llm},
      .division = Division::ranks,
      .several_workers = true,
      .powers_of_two = true,
      .needs_addresses = true,
      .only_by_name = true,
      .startable = false,
      .shares_cache = true,
      .context_flag = "--max-seq-len",
      .slots_flag = "--max-batch-size",
      .parameters = {{.flag = "--max-seq-len",
                      .type = integer,
                      .text = "Longest request, prompt and answer, in tokens.",
                      .default_value = "8192",
                      .minimum = 1},
                     {.flag = "--max-batch-size",
                      .type = integer,
                      .text = "Requests that are decoded at the same time.",
                      .default_value = "200",
                      .minimum = 1,
                      .maximum = 5000},
                     {.flag = "--cache-block-size",
                      .type = integer,
                      .text = "Tokens of a block of the KV cache.",
                      .default_value = "128",
                      .minimum = 1},
                     {.flag = "--cpu-mem-size",
                      .type = integer,
                      .text = "Main memory for caches that were swapped out, in GiB.",
                      .default_value = "5",
                      .minimum = 0}},
      .variables = variables(),
  };
}

}  // namespace

const BackendDescriptor& AscendMindie::descriptor() const {
  static const BackendDescriptor descriptor = make_descriptor();
  return descriptor;
}

Result<void> AscendMindie::match(const model::ModelProfile& profile) const {
  if (profile.format != FileFormat::safetensors && profile.format != FileFormat::pytorch) {
    return fail(ErrorCode::unsupported, "is for models in Hugging Face's format");
  }
  if (profile.category != Category::llm) {
    return fail(ErrorCode::unsupported,
                "serves language and vision models only, and this is for {}",
                enum_name(profile.category));
  }
  return {};
}

std::string AscendMindie::match_reason(const model::ModelProfile& profile) const {
  return fmt::format("the model is a {} in Hugging Face's format", profile.architecture);
}

Result<model::Serving> AscendMindie::serving(const model::ModelProfile& profile,
                                             const ParsedParameters& parameters,
                                             bool /*has_devices*/) const {
  return model::Serving{
      .context = number_of(parameters, "--max-seq-len").value_or(usual_context(profile)),
      .slots = 1};
}

Result<std::vector<std::string>> AscendMindie::check(const model::ModelProfile& /*profile*/,
                                                     const ParsedParameters& /*parameters*/) const {
  return std::vector<std::string>{};
}

Result<model::Claim> AscendMindie::estimate(const EstimateRequest& request) const {
  if (request.devices.empty()) {
    return fail(ErrorCode::unsupported, "MindIE computes on NPUs only");
  }
  const auto devices = devices_of(request);
  BERTH_CHECK(
      estimate::check_tensor_parallel(request.profile, static_cast<std::uint32_t>(devices.size())));
  const auto& given = request.parameters;
  return estimate::mindie_claim(
      request.profile,
      {.context = request.serving.context,
       .ranks = static_cast<std::uint32_t>(devices.size()),
       .batch = number_of(given, "--max-batch-size").value_or(200),
       .block = number_of(given, "--cache-block-size").value_or(128),
       .cpu_swap = Bytes{std::uint64_t{number_of(given, "--cpu-mem-size").value_or(5)} << 30}},
      devices);
}

}  // namespace berth::backends::ascend_mindie
