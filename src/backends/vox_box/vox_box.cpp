#include "backends/vox_box/vox_box.h"

#include "backends/environment.h"
#include "estimate/classes.h"

#include <algorithm>
#include <array>

namespace berth::backends::vox_box {
namespace {

using model::Category;

constexpr auto kFamilies = std::to_array<std::string_view>(
    {"faster-whisper", "funasr", "cosyvoice", "cosyvoice2", "bark", "dia"});

BackendDescriptor make_descriptor() {
  return {
      .name = "vox-box",
      .text = "Serves speech to text and text to speech with vox-box.",
      .engines = {"vox-box"},
      .platforms = {"linux/amd64", "linux/arm64", "darwin/arm64", "darwin/amd64", "windows/amd64",
                    "windows/arm64"},
      .categories = {Category::speech_to_text, Category::text_to_speech},
      .cpu_offload = true,
      .cpu_when_full = true,
      .startable = false,
      .parameters = {},
      .variables = with_common_variables(with_pytorch_variables(with_device_variables({
          {.name = "HF_HUB_DISABLE_TELEMETRY",
           .rule = VariableRule::preset,
           .why = "the engine tells nobody of itself",
           .value = "1"},
      }))),
  };
}

bool is_bound_to_few_platforms(const model::ModelProfile& profile) {
  return profile.architecture.starts_with("cosyvoice") || profile.architecture == "dia";
}

}  // namespace

const BackendDescriptor& VoxBox::descriptor() const {
  static const BackendDescriptor descriptor = make_descriptor();
  return descriptor;
}

Result<void> VoxBox::match(const model::ModelProfile& profile) const {
  const auto& categories = descriptor().categories;
  if (std::ranges::find(categories, profile.category) == categories.end()) {
    return fail(ErrorCode::unsupported, "serves speech models only, and this is for {}",
                enum_name(profile.category));
  }
  if (std::ranges::find(kFamilies, profile.architecture) == kFamilies.end()) {
    return fail(ErrorCode::unsupported,
                "serves faster-whisper, FunASR, CosyVoice, Bark and Dia, and this is a {}",
                profile.architecture);
  }
  // vox-box 0.0.21, vox_box/estimator/cosyvoice.py and CosyVoice's own cosyvoice/cli/cosyvoice.py.
  if (profile.model_type == "cosyvoice2.yaml") {
    return fail(
        ErrorCode::unsupported,
        "reads a CosyVoice by its cosyvoice.yaml, and this has only a cosyvoice2.yaml; take "
        "a revision of the model that still has the former");
  }
  return {};
}

std::string VoxBox::match_reason(const model::ModelProfile& profile) const {
  return fmt::format("the files are those of a {} model", profile.architecture);
}

std::vector<std::string_view> VoxBox::platforms(const model::ModelProfile& profile) const {
  if (is_bound_to_few_platforms(profile)) return {"linux/amd64", "darwin/arm64", "darwin/amd64"};
  return descriptor().platforms;
}

Result<model::Serving> VoxBox::serving(const model::ModelProfile& /*profile*/,
                                       const ParsedParameters& /*parameters*/,
                                       bool /*has_devices*/) const {
  return model::Serving{.context = 0, .slots = 1};
}

Result<std::vector<std::string>> VoxBox::check(const model::ModelProfile& /*profile*/,
                                               const ParsedParameters& /*parameters*/) const {
  return std::vector<std::string>{};
}

Result<model::Claim> VoxBox::estimate(const EstimateRequest& request) const {
  if (request.devices.size() > 1) {
    return fail(ErrorCode::invalid_parameter, "vox-box uses one device, not {}",
                request.devices.size());
  }
  return estimate::vox_box_claim(request.profile,
                                 request.devices.empty() ? "cpu" : request.devices[0].device);
}

}  // namespace berth::backends::vox_box
