// The backend vllm: models in Hugging Face's format under vLLM, on Linux.
#pragma once

#include "backends/unstarted.h"
#include "estimate/vllm.h"

#include <span>
#include <string>

namespace berth::backends::vllm {

class Vllm final : public UnstartedBackend {
 public:
  [[nodiscard]] const BackendDescriptor& descriptor() const override;
  [[nodiscard]] Result<void> match(const model::ModelProfile& profile) const override;
  [[nodiscard]] std::string match_reason(const model::ModelProfile& profile) const override;
  [[nodiscard]] Result<model::Serving> serving(const model::ModelProfile& profile,
                                               const ParsedParameters& parameters,
                                               bool has_devices) const override;
  [[nodiscard]] Result<std::vector<std::string>> check(
      const model::ModelProfile& profile, const ParsedParameters& parameters) const override;
  // The least that it takes, with the cache of one request of the whole context: vLLM then uses
  // what --gpu-memory-utilization leaves for further requests. With --kv-cache-memory-bytes, that
  // cache; fails with invalid_parameter where it has no room for one request.
  [[nodiscard]] Result<model::Claim> estimate(const EstimateRequest& request) const override;
  [[nodiscard]] DeviceWish device_wish(const ParsedParameters& parameters) const override;
  [[nodiscard]] bool fills_devices(const model::ModelProfile& profile,
                                   const ParsedParameters& parameters) const override;
  // --gpu-memory-utilization of it.
  [[nodiscard]] Bytes usable(const ParsedParameters& parameters, Bytes memory) const override;
  [[nodiscard]] std::uint64_t cached_tokens(const model::ModelProfile& profile,
                                            const ParsedParameters& parameters,
                                            const model::Claim& claim, Bytes usable) const override;
};

// The table of its environment.
std::vector<Variable> variables();

// What the claim depends on, from the flags. `devices` are the ranks; "cpu" has defaults of its
// own.
estimate::VllmOptions options_of(const model::ModelProfile& profile,
                                 const ParsedParameters& parameters, const model::Serving& serving,
                                 std::span<const std::string> devices);

}  // namespace berth::backends::vllm
