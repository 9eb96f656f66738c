// The backend llama-box: GGUF models under llama.cpp's llama-server.
#pragma once

#include "backends/backend.h"
#include "backends/llama_box/projector.h"
#include "estimate/gguf.h"

namespace berth::backends::llama_box {

// Flags, variables and what else is declared of llama-server.
const BackendDescriptor& llama_box_descriptor();

class LlamaBox final : public Backend {
 public:
  [[nodiscard]] const BackendDescriptor& descriptor() const override;
  [[nodiscard]] Result<void> match(const model::ModelProfile& profile) const override;
  [[nodiscard]] std::string match_reason(const model::ModelProfile& profile) const override;
  [[nodiscard]] Result<model::Serving> serving(const model::ModelProfile& profile,
                                               const ParsedParameters& parameters,
                                               bool has_devices) const override;
  [[nodiscard]] std::uint64_t engine_context(const model::Serving& serving) const override;
  [[nodiscard]] DeviceWish device_wish(const ParsedParameters& parameters) const override;
  [[nodiscard]] Result<std::vector<std::string>> check(
      const model::ModelProfile& profile, const ParsedParameters& parameters) const override;
  [[nodiscard]] Result<const model::Projector*> projector(
      const model::ModelProfile& profile, const ParsedParameters& parameters) const override {
    return projector_of(profile, parameters);
  }
  [[nodiscard]] Result<model::Claim> estimate(const EstimateRequest& request) const override;
  [[nodiscard]] Bytes subordinate_host(const model::ModelProfile& profile) const override;
  [[nodiscard]] std::vector<LayoutQuestion> layout_questions(const model::ModelProfile& profile,
                                                             const ParsedParameters& parameters,
                                                             bool has_devices) const override;
  [[nodiscard]] std::vector<model::ComputeFigure> compute_figures(
      const model::ModelProfile& profile, const LayoutQuestion& question,
      const LayoutAnswer& answer) const override;
  [[nodiscard]] Result<model::LaunchPlan> launch(const LaunchContext& context) const override;
  [[nodiscard]] std::vector<GangRole> roles(const model::Deployment& deployment,
                                            const model::Placement& placement) const override;
};

// What the engine is told beyond context and slots; the same for the claim and the command line.
struct Settings {
  std::uint32_t batch = 0;
  std::uint32_t ubatch = 0;
  std::uint32_t cache_ram = 0;    // MiB
  std::uint32_t checkpoints = 0;  // 0 where no layer has a window
  estimate::GgufOptions memory;
};

// Batches are so small that one takes about a second, since the engine notices a lost client only
// between two: 512 tokens on devices; on the CPU, which computes some 7e10 weights a second and
// core, the power of two below that, from 32 to 256. Models that read a text at once (embedding,
// reranker) take the whole context in one batch.
Settings settings_of(const model::ModelProfile& profile, const ParsedParameters& parameters,
                     const model::Serving& serving, bool on_devices, std::uint32_t cores);

// Whether the model answers with vectors or scores instead of text.
bool reads_at_once(const model::ModelProfile& profile);

}  // namespace berth::backends::llama_box
