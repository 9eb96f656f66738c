// The backend ascend-mindie: language and vision models on Huawei's NPUs. Never chosen by itself.
#pragma once

#include "backends/unstarted.h"

namespace berth::backends::ascend_mindie {

class AscendMindie final : public UnstartedBackend {
 public:
  [[nodiscard]] const BackendDescriptor& descriptor() const override;
  [[nodiscard]] Result<void> match(const model::ModelProfile& profile) const override;
  [[nodiscard]] std::string match_reason(const model::ModelProfile& profile) const override;
  [[nodiscard]] Result<model::Serving> serving(const model::ModelProfile& profile,
                                               const ParsedParameters& parameters,
                                               bool has_devices) const override;
  [[nodiscard]] Result<std::vector<std::string>> check(
      const model::ModelProfile& profile, const ParsedParameters& parameters) const override;
  // On NPUs only; fails with unsupported for the CPU alone.
  [[nodiscard]] Result<model::Claim> estimate(const EstimateRequest& request) const override;
};

// The table of its environment.
std::vector<Variable> variables();

}  // namespace berth::backends::ascend_mindie
