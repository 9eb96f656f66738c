// The backend vox-box: speech to text and text to speech.
#pragma once

#include "backends/unstarted.h"

namespace berth::backends::vox_box {

class VoxBox final : public UnstartedBackend {
 public:
  [[nodiscard]] const BackendDescriptor& descriptor() const override;
  [[nodiscard]] Result<void> match(const model::ModelProfile& profile) const override;
  [[nodiscard]] std::string match_reason(const model::ModelProfile& profile) const override;
  // CosyVoice and Dia run neither on ARM Linux nor on Windows.
  [[nodiscard]] std::vector<std::string_view> platforms(
      const model::ModelProfile& profile) const override;
  [[nodiscard]] Result<model::Serving> serving(const model::ModelProfile& profile,
                                               const ParsedParameters& parameters,
                                               bool has_devices) const override;
  [[nodiscard]] Result<std::vector<std::string>> check(
      const model::ModelProfile& profile, const ParsedParameters& parameters) const override;
  [[nodiscard]] Result<model::Claim> estimate(const EstimateRequest& request) const override;
};

}  // namespace berth::backends::vox_box
