// What llama.cpp is asked of its compute buffers, and what the answers say.
#include "backends/llama_box/llama_box.h"

#include <algorithm>

namespace berth::backends::llama_box {
namespace {

using enum model::ComputeRole;

constexpr std::string_view kFirst = "device:0";
constexpr std::string_view kSecond = "device:1";

}  // namespace

std::vector<LayoutQuestion> LlamaBox::layout_questions(const model::ModelProfile& profile,
                                                       const ParsedParameters& parameters,
                                                       bool has_devices) const {
  std::vector<LayoutQuestion> questions;
  if (const auto alone = serving(profile, parameters, false)) questions.push_back({*alone, {}});
  const auto all = layers(profile);
  const auto wished = std::min(device_wish(parameters).layers.value_or(all), all);
  const auto beside = serving(profile, parameters, true);
  if (!has_devices || !beside || wished == 0) return questions;
  const auto ask = [&](std::vector<EstimateRequest::DeviceShare> devices) {
    questions.push_back({*beside, std::move(devices)});
  };
  const std::uint32_t half = all / 2;
  if (half != 0) ask({{std::string(kFirst), std::min(half, wished)}});
  if (wished < all) return questions;
  ask({{std::string(kFirst), all}});
  if (half != 0) ask({{std::string(kFirst), all - half}, {std::string(kSecond), half}});
  return questions;
}

std::vector<model::ComputeFigure> LlamaBox::compute_figures(const model::ModelProfile& profile,
                                                            const LayoutQuestion& question,
                                                            const LayoutAnswer& answer) const {
  if (answer.devices.size() != question.devices.size()) return {};
  std::vector<model::ComputeFigure> figures;
  const auto add = [&](model::ComputeRole role, Bytes size, Bytes weights = {}) {
    figures.push_back({role, question.serving.context, question.serving.slots, size, weights});
  };
  std::uint32_t on_devices = 0;
  for (const auto& share : question.devices) on_devices += share.layers;
  Bytes largest;
  Bytes projector = answer.host.projector;
  for (const auto& sizes : answer.devices) {
    largest = std::max(largest, sizes.compute);
    projector += sizes.projector;
  }
  if (question.devices.empty()) {
    add(cpu_alone, answer.host.compute);
  } else if (on_devices < layers(profile)) {
    add(device_partly, largest);
    add(host_partly, answer.host.compute);
  } else if (question.devices.size() == 1) {
    add(device_whole, largest, answer.devices.front().weights);
    add(host_whole, answer.host.compute, answer.host.weights);
  } else {
    add(device_of_many, largest);
    add(host_of_many, answer.host.compute);
  }
  if (projector.count != 0) {
    add(answer.host.projector == projector ? projector_on_cpu : projector_on_device, projector);
  }
  return figures;
}

}  // namespace berth::backends::llama_box
